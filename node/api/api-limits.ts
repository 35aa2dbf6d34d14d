// What one client, or all of them together, may take of this node. Every limit answers with a refusal of its own or closes the connection.
import { resultBytesMax } from '../command/result-limits.ts'

export interface ApiLimits {
  /** Bytes of one request's body. */
  readonly bodyBytesMax: number
  /** Bytes of all bodies that are being read or served together. */
  readonly bodiesBytesMax: number
  /** Bytes of all requests in the write queue. */
  readonly queuedBytesMax: number
  /** Request line and headers together. */
  readonly headerBytesMax: number
  readonly urlBytesMax: number
  readonly headersMax: number
  /** Bytes of one JSON answer. */
  readonly resultBytesMax: number
  readonly connectionsMax: number
  /** Requests being served at a time. */
  readonly requestsMax: number
  /** Of them, those that wait for a leader: the others must find room while there is none. */
  readonly waitingMax: number
  readonly headersTimeoutMs: number
  /** From the first byte of a request to the last one of its body. */
  readonly requestTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  readonly handshakeTimeoutMs: number
  /** For a client to take an answer off our hands. */
  readonly writeTimeoutMs: number
  /** The longest that the parameter `timeout` may ask for. */
  readonly deadlineMsMax: number
}

export const apiLimits: ApiLimits = {
  // JSON is read in one stretch of the event loop on which heartbeats wait: 8 MiB of numbers take up to 0.7 s of processor time, less than an election timeout. What is made of
  // it comes in steps, and of several such bodies one comes after the other (large-turns.ts).
  // The log would take 64 MiB (raft/entry.ts). Larger loads are several requests.
  bodyBytesMax: 8 * 1024 * 1024,
  bodiesBytesMax: 128 * 1024 * 1024,
  queuedBytesMax: 64 * 1024 * 1024,
  headerBytesMax: 32 * 1024,
  // Half of the header limit, so that a long URL is told apart from long headers.
  urlBytesMax: 16 * 1024,
  headersMax: 100,
  resultBytesMax,
  connectionsMax: 4096, // about 100 KB each with TLS
  requestsMax: 1024,
  waitingMax: 512,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 65_000, // longer than the 60 s of common load balancers: they must be the ones that close
  handshakeTimeoutMs: 10_000, // Node's own is 120 s
  writeTimeoutMs: 60_000,
  deadlineMsMax: 300_000,
}
