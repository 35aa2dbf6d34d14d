// The door of the room: puts the endpoints behind a listening server and gives the peers a way to bring forwarded requests in.
import type { HostPort } from '../../contract/host-port.ts'
import type { WriteQueueConfiguration } from '../../contract/node-configuration.ts'
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Access } from '../access/access.ts'
import { encodeCommand } from '../command/command-codec.ts'
import { judgeInSteps, judgeText } from '../command/gate.ts'
import { rememberVerdicts } from '../command/verdict-cache.ts'
import { ApiCounts } from './api-counts.ts'
import { systemClock } from '../replica/system-clock.ts'
import { apiLimits } from './api-limits.ts'
import type { ApiLimits } from './api-limits.ts'
import type { ApiParts } from './api-parts.ts'
import { ApiServer } from './api-server.ts'
import type { ListenProblem } from './api-server.ts'
import { ApiService } from './api-service.ts'
import type { ApiTls } from './api-tls.ts'
import { endpointsOf, memberEndpointsOf } from './endpoints.ts'
import { refuse } from './exchange.ts'
import { forwardedRequests } from './forwarded-requests.ts'
import type { Backups } from './backups.ts'
import type { Checks } from './checks.ts'
import type { Compactor } from './compactor.ts'
import type { FileIntake } from './file-intake.ts'
import type { ForwardedRequestHandler, Forwarder } from './forwarder.ts'
import { HttpFront } from './http-front.ts'
import { LargeTurns } from './large-turns.ts'
import { LeaderWatch } from './leader-watch.ts'
import type { NodeView } from './node-view.ts'
import { sendQueued } from './queue-sending.ts'
import type { Reader } from './reader.ts'
import type { Rehearsal } from './rehearsal.ts'
import type { WriteEnd } from './log-door.ts'
import { WriteTurnstile } from './write-turnstile.ts'
import { WriteQueue } from './write-queue.ts'

export interface ApiOptions {
  readonly listen: HostPort
  /** Undefined: plain HTTP, as rqlite without `-http-cert`; the configuration has warned of it. */
  readonly tls: ApiTls | undefined
  readonly access: Access
  readonly view: NodeView
  readonly reader: Reader
  readonly rehearsal: Rehearsal
  readonly forwarder: Forwarder
  readonly compactor: Compactor
  readonly checks: Checks
  readonly intake: FileIntake
  readonly backups: Backups
  readonly writeQueue: WriteQueueConfiguration
  /** `-raft-apply-timeout`. */
  readonly applyTimeoutMs: number
  readonly logger: Logger
  readonly metrics: Metrics
  /** `-http-allow-origin`. */
  readonly allowOrigin: string | undefined
  readonly limits?: Partial<ApiLimits>
}

export interface OpenedApi {
  readonly address: { readonly host: string; readonly port: number }
  /** For node/peer: what other members forward to this node. */
  readonly handler: ForwardedRequestHandler
  /** What the leader changes by itself: it goes the way of all writes (write-turnstile.ts). */
  proposeUpkeep(payload: Uint8Array, options: { readonly timeoutMs: number }): Promise<WriteEnd>
  /** The node is about to end: /readyz says so, and each connection ends with its next answer. Everything is still served. */
  drain(): void
  /** Resolves when the write queue is empty, at the latest after `withinMs`. */
  flushQueue(options: { readonly withinMs: number }): Promise<void>
  /** Takes nothing new, lets requests under way finish for a moment, then cuts. */
  close(): Promise<void>
}

// Shorter than the server's own grace, so that the answers still leave.
const waitGraceMs = 1500

/** Serves at once, also before the node belongs to a cluster: /readyz and /status tell so. */
export async function openApi(options: ApiOptions): Promise<Result<OpenedApi, ListenProblem>> {
  const { access, view, reader, forwarder, compactor, checks, intake, backups, logger, metrics, allowOrigin } = options
  const limits = { ...apiLimits, ...options.limits }
  const leaderWatch = new LeaderWatch({ replica: () => view.replica(), waitersMax: limits.waitingMax })
  let isEnding = false
  const writeQueue: WriteQueue = new WriteQueue({
    settings: options.writeQueue,
    limits,
    send: (group) => sendQueued(parts, group),
    clock: systemClock,
    logger,
    metrics,
  })
  const parts: ApiParts = {
    access,
    view,
    reader,
    turnstile: new WriteTurnstile(options.rehearsal, logger),
    largeTurns: new LargeTurns(systemClock),
    forwarder,
    compactor,
    checks,
    intake,
    backups,
    leaderWatch,
    writeQueue,
    applyTimeoutMs: options.applyTimeoutMs,
    isEnding: () => isEnding,
    judge: rememberVerdicts(judgeText),
    judgeInSteps,
    encode: encodeCommand,
    limits,
    logger,
    metrics,
    counts: new ApiCounts(metrics),
    allowOrigin,
  }
  const endpoints = endpointsOf(parts)
  const forwardable = [...endpoints, ...memberEndpointsOf(parts)]
  const service = new ApiService(parts, forwardable)
  const front = new HttpFront(parts, service, endpoints)
  const server = new ApiServer({
    tls: options.tls,
    limits,
    logger,
    metrics,
    onRequest: (message, response, how) => front.handle(message, response, how),
    onRefusal: (code, message, address) =>
      void service.noted(refuse(code, message), { method: '', endpoint: 'none', origin: 'client', address }),
  })
  const address = await server.listen(options.listen)
  if (!address.ok) return address
  return ok({
    address: address.value,
    handler: forwardedRequests(parts, service, forwardable),
    proposeUpkeep: (payload, { timeoutMs }) => proposeUpkeep(parts, payload, timeoutMs),
    drain: () => {
      isEnding = true
      writeQueue.hurry()
    },
    flushQueue: (within) => writeQueue.flush(within),
    close: async () => {
      isEnding = true
      // Who waits for a leader may still find one for a moment; then it is told, rather than cut.
      const stopWaiting = setTimeout(() => leaderWatch.close(), waitGraceMs)
      await Promise.all([server.close(), writeQueue.close()])
      clearTimeout(stopWaiting)
      leaderWatch.close()
    },
  })
}

async function proposeUpkeep({ view, turnstile }: ApiParts, payload: Uint8Array, timeoutMs: number): Promise<WriteEnd> {
  const replica = view.replica()
  const endMs = performance.now() + timeoutMs
  if (replica === undefined) return fail({ code: 'leader_unknown', leader: undefined })
  return turnstile.propose(replica, { payload, changes: 'judgements', msLeft: () => Math.max(0, endMs - performance.now()) })
}
