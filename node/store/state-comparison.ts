// Whether this database has arrived where the others have: compares what a `state-hash` entry says with the hash that was behind the same command here.
import assert from 'node:assert/strict'
import type { Entry } from '../raft/entry.ts'
import type { Divergence } from '../replica/state-machine.ts'
import type { Bookkeeping, Progress } from './bookkeeping.ts'
import { runOwn } from './sqlite-failure.ts'
import { RecentHashes, decodeHashPayload, encodeHashPayload, hashText, type HashFold } from './state-hash.ts'

export class StateComparison {
  /** The hashes behind the last commands. */
  readonly hashes = new RecentHashes()
  readonly #bookkeeping: Bookkeeping
  #divergence: Divergence | undefined
  #comparedIndex = 0

  constructor(bookkeeping: Bookkeeping, { appliedIndex, hash }: Progress) {
    this.#bookkeeping = bookkeeping
    this.#divergence = bookkeeping.readDivergence()
    this.hashes.set(appliedIndex, hash)
  }

  /** Undefined: none was found. */
  get divergence(): Divergence | undefined {
    return this.#divergence
  }

  /** For people and other nodes. */
  textAt(index: number): string | undefined {
    const hash = this.hashes.get(index)
    return hash === undefined ? undefined : hashText(hash)
  }

  /** What a `state-hash` entry should say now; undefined: nothing has changed since the last one. */
  payload({ hash: current }: Progress): Uint8Array | undefined {
    if (current === undefined) return encodeHashPayload({ kind: 'begin' })
    const index = this.hashes.newest
    const hash = this.hashes.get(index)
    return hash === undefined || index <= this.#comparedIndex ? undefined : encodeHashPayload({ kind: 'compare', index, hash })
  }

  /** What is too old to be known here, or from before all began anew, is compared with nothing: the hash of a later entry holds it too. */
  differs(entry: Entry, fold: HashFold): boolean {
    const payload = decodeHashPayload(entry.payload)
    if (payload?.kind === 'begin') fold.begin()
    if (payload?.kind !== 'compare') return false
    this.#comparedIndex = Math.max(this.#comparedIndex, payload.index)
    const own = this.hashes.get(payload.index)
    if (own === undefined || (own.high === payload.hash.high && own.low === payload.hash.low)) return false
    this.#divergence = { index: payload.index, own: hashText(own), expected: hashText(payload.hash) }
    return true
  }

  /** The one that was found here. */
  recordFound(): void {
    assert(this.#divergence !== undefined, 'a divergence was found')
    this.record(this.#divergence)
  }

  /** For good. */
  record(divergence: Divergence): void {
    this.#divergence = divergence
    runOwn(() => this.#bookkeeping.recordDivergence(divergence))
  }
}
