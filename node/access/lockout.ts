// Slows down guessing. Failures are counted by user *and* address: by user alone, anybody could lock a user out from everywhere; by address alone,
// one forgetful application behind a shared address would lock out its neighbours. While locked even the right password is refused: else a lock-out would tell
// the guesser which guess was right. Unknown users are counted like known ones, so that a lock-out does not tell who exists.
import { hash } from 'node:crypto'
import { addressGroup } from './address-group.ts'

export interface LockoutLimits {
  /** Failures in a row before the first lock-out. A person mistypes a few times; ten in a row is a program. */
  readonly failuresMax: number
  /** Length of the first lock-out; each further failure after it doubles the next, up to the longest. */
  readonly lockMsMin: number
  readonly lockMsMax: number
  /** Failures are forgotten after this long without one. */
  readonly forgetMs: number
  /** Pairs of user and address that are remembered; the one that has been quiet for longest goes first. */
  readonly entriesMax: number
}

const lockoutLimits: LockoutLimits = {
  failuresMax: 10,
  lockMsMin: 10_000,
  lockMsMax: 300_000,
  forgetMs: 900_000,
  entriesMax: 10_000, // about 2 MB
}

interface Entry {
  failures: number
  /** Different passwords that are being checked right now: each may become a failure, so a burst cannot slip past the limit. */
  pending: number
  lockedUntilMs: number
  lastMs: number
}

export class Lockout {
  readonly #entries = new Map<string, Entry>()
  readonly #limits: LockoutLimits
  readonly #monotonicMs: () => number

  constructor(options: { readonly monotonicMs: () => number; readonly limits?: LockoutLimits }) {
    this.#monotonicMs = options.monotonicMs
    this.#limits = options.limits ?? lockoutLimits
  }

  isLocked(username: string, address: string): boolean {
    // Nobody has failed: the usual case, on every request.
    if (this.#entries.size === 0) return false
    const entry = this.#current(keyOf(username, address))
    return entry !== undefined && entry.lockedUntilMs > this.#monotonicMs()
  }

  /** Before a password is checked. False: locked, or so many checks are under way that failing they would lock; the password must not be looked at. */
  begin(username: string, address: string): boolean {
    const key = keyOf(username, address)
    const entry = this.#current(key) ?? { failures: 0, pending: 0, lockedUntilMs: 0, lastMs: 0 }
    if (entry.lockedUntilMs > this.#monotonicMs()) return false
    // After a lock-out has ended one check at a time is allowed: it decides whether the next, longer one begins.
    if (entry.pending > 0 && entry.failures + entry.pending >= this.#limits.failuresMax) return false
    entry.pending += 1
    this.#touch(key, entry)
    return true
  }

  /** Ends what `begin` allowed. True when this failure has begun a lock-out. */
  end(username: string, address: string, outcome: 'right' | 'wrong' | 'undecided'): boolean {
    const key = keyOf(username, address)
    const entry = this.#entries.get(key)
    if (entry === undefined) return false
    entry.pending = Math.max(0, entry.pending - 1)
    if (outcome === 'wrong') entry.failures += 1
    if (outcome === 'right') entry.failures = 0
    if (entry.failures === 0 && entry.pending === 0) this.#entries.delete(key)
    else this.#touch(key, entry)
    const over = entry.failures - this.#limits.failuresMax
    if (outcome !== 'wrong' || over < 0) return false
    entry.lockedUntilMs = this.#monotonicMs() + Math.min(this.#limits.lockMsMax, this.#limits.lockMsMin * 2 ** over)
    return true
  }

  get size(): number {
    return this.#entries.size
  }

  #current(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.pending > 0 || this.#monotonicMs() - entry.lastMs < this.#limits.forgetMs) return entry
    this.#entries.delete(key)
    return undefined
  }

  // A Map keeps the order of insertion: setting anew moves to the end, so the first one is the one that has been quiet for longest.
  #touch(key: string, entry: Entry): void {
    entry.lastMs = this.#monotonicMs()
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    if (this.#entries.size <= this.#limits.entriesMax) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}

// Hashed, so that long user names cost no memory.
function keyOf(username: string, address: string): string {
  return hash('sha256', `${addressGroup(address)}\0${username}`, 'base64')
}
