// What a state machine has arrived at, in 64 bits: every applied command and what came of it, folded one after the other. Nodes that have applied the same entries have
// the same hash, however the entries were grouped, wherever they ran, and whatever was restarted meanwhile; a node whose data differ has another one as soon as a write's
// outcome shows it. It guards against mistakes, not against people: whoever can write the file can write the hash.
//
// Only writes count. Answers of reads may differ for good reasons (chance, the clock, what a connection remembers), and messages may change with SQLite's version.
import assert from 'node:assert/strict'
import type { StatementResult } from '../command/command.ts'
import { readUint53, writeUint53, type Entry } from '../raft/entry.ts'

/** Two lanes of 32 bits, because JavaScript multiplies those exactly. */
export interface StateHash {
  readonly high: number
  readonly low: number
}

/** Of a database that has applied nothing. */
export const emptyHash: StateHash = { high: 0x53_71_4c_68, low: 0x61_73_68_31 }

/** What a statement did to the data, beside what it answers. A number: it was carried out; the number stands for the rows that it touched and returned, in any order. */
export type Effect = 'read' | 'failed' | number

export interface Trace {
  readonly result: StatementResult
  readonly effect: Effect
}

/** Collects in place: there is one for each entry, and many entries. */
export class HashFold {
  #high = 0
  #low = 0
  #isKnown = false

  /** Undefined: what was before is not known, and so nothing will be until all begin anew. */
  constructor(start: StateHash | undefined) {
    if (start !== undefined) this.#set(start)
  }

  get value(): StateHash | undefined {
    return this.#isKnown ? { high: this.#high, low: this.#low } : undefined
  }

  begin(): void {
    this.#set(emptyHash)
  }

  /** Before what came of its statements. The entry's own checksum stands for its content. */
  entry({ index, term, bytes }: Entry): void {
    this.#word(index >>> 0)
    this.#word(Math.floor(index / 2 ** 32))
    this.#word(term >>> 0)
    this.#word(((bytes[4] ?? 0) << 24) | ((bytes[5] ?? 0) << 16) | ((bytes[6] ?? 0) << 8) | (bytes[7] ?? 0))
  }

  statement({ result, effect }: Trace): void {
    if (effect === 'read') return this.#word(1)
    if (effect === 'failed') return this.#word(2)
    this.#word(3)
    this.#word(effect)
    if (result.kind !== 'written') return
    this.#word(Number(BigInt.asUintN(32, result.lastInsertId)))
    this.#word(Number(BigInt.asUintN(32, result.lastInsertId >> 32n)))
    this.#word(result.rowsAffected >>> 0)
  }

  #set({ high, low }: StateHash): void {
    this.#high = high
    this.#low = low
    this.#isKnown = true
  }

  #word(word: number): void {
    this.#high = mix(this.#high ^ word, 0x85_eb_ca_6b)
    this.#low = mix(this.#low ^ word, 0xc2_b2_ae_35)
    // Each lane hears of the other, so that the pair has 64 bits of memory.
    this.#high = (this.#high + this.#low) >>> 0
  }
}

/** Of the statements of one text, one after the other. */
export function joinEffects(before: number, effect: number): number {
  return mix(before ^ effect, 0xc2_b2_ae_35)
}

/** Of one returned row; rows are added up, because their order says nothing. */
export function hashRow(row: readonly unknown[]): number {
  let hash = row.length
  for (const value of row) hash = foldValue(hash, value)
  return hash
}

/** The kind, then the content. */
function foldValue(before: number, value: unknown): number {
  if (value === null) return fold(before, 1)
  if (typeof value === 'bigint')
    return fold(fold(fold(before, 2), Number(BigInt.asUintN(32, value))), Number(BigInt.asUintN(32, value >> 32n)))
  if (typeof value === 'number') {
    real.setFloat64(0, value)
    return fold(fold(fold(before, 3), real.getUint32(0)), real.getUint32(4))
  }
  // From the length on, so that characters of code 0 count.
  let content = typeof value === 'string' || value instanceof Uint8Array ? value.length : 0
  if (typeof value === 'string')
    for (let at = 0; at < value.length; at += 1) content = Math.imul(content ^ value.charCodeAt(at), 0x01_00_01_93)
  if (value instanceof Uint8Array) for (const byte of value) content = Math.imul(content ^ byte, 0x01_00_01_93)
  return fold(fold(before, typeof value === 'string' ? 4 : 5), content)
}

function fold(before: number, word: number): number {
  return mix(before ^ word, 0x85_eb_ca_6b)
}

const real = new DataView(new ArrayBuffer(8))

/** The finalizer of MurmurHash3 with the given multiplier first: every bit of the input changes half of the output. */
function mix(value: number, multiplier: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), multiplier)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xcc_9e_2d_51)
  return ((mixed ^ (mixed >>> 16)) + 0x9e_37_79_b9) >>> 0
}

/** How many commands back a hash can still be compared: those of some seconds, because a leader asks all voters before it compares. 16 bytes each. */
const hashesMax = 65_536

/** The hashes behind the last commands, by the command's index. */
export class RecentHashes {
  readonly #indexes = new Float64Array(hashesMax)
  readonly #highs = new Uint32Array(hashesMax)
  readonly #lows = new Uint32Array(hashesMax)

  newest = 0

  set(index: number, hash: StateHash | undefined): void {
    if (hash === undefined) return
    this.newest = index
    const at = index % hashesMax
    this.#indexes[at] = index
    this.#highs[at] = hash.high
    this.#lows[at] = hash.low
  }

  get(index: number): StateHash | undefined {
    const at = index % hashesMax
    return this.#indexes[at] === index ? { high: this.#highs[at] ?? 0, low: this.#lows[at] ?? 0 } : undefined
  }
}

/** The payload of a `state-hash` entry. `begin`: whoever wrote it knows no hash, so all begin anew after that entry. */
export type HashPayload = { readonly kind: 'begin' } | { readonly kind: 'compare'; readonly index: number; readonly hash: StateHash }

// Layout, big-endian: u8 version | nothing more to begin, or u64 index | u32 high | u32 low.
const payloadVersion = 1

export function encodeHashPayload(payload: HashPayload): Uint8Array {
  if (payload.kind === 'begin') return new Uint8Array([payloadVersion])
  const bytes = new Uint8Array(17)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, payloadVersion)
  writeUint53(view, 1, payload.index)
  view.setUint32(9, payload.hash.high)
  view.setUint32(13, payload.hash.low)
  return bytes
}

/** Undefined: of another version; it is then compared with nothing, on all nodes alike. */
export function decodeHashPayload(bytes: Uint8Array): HashPayload | undefined {
  if (bytes[0] !== payloadVersion) return undefined
  if (bytes.length === 1) return { kind: 'begin' }
  if (bytes.length !== 17) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(1) >= 2 ** 21) return undefined // no index is that large
  return { kind: 'compare', index: readUint53(view, 1), hash: { high: view.getUint32(9), low: view.getUint32(13) } }
}

/** Of a payload that compares; undefined: it has all begin anew. */
export function comparedIndex(payload: Uint8Array): number | undefined {
  const decoded = decodeHashPayload(payload)
  return decoded?.kind === 'compare' ? decoded.index : undefined
}

/** `text`: of a hash, as hashText gives it. */
export function encodeComparison(index: number, text: string): Uint8Array {
  const hash = parseHash(text)
  assert(hash !== undefined, 'what is compared is a hash')
  return encodeHashPayload({ kind: 'compare', index, hash })
}

/** Undefined: it is none. */
function parseHash(text: string): StateHash | undefined {
  return /^[0-9a-f]{16}$/.test(text) ? { high: parseInt(text.slice(0, 8), 16), low: parseInt(text.slice(8), 16) } : undefined
}

export function hashText({ high, low }: StateHash): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')
}
