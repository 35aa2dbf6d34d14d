// What the functions of chance and of time answer while an entry is applied: the same on every node, because it comes from the entry and from those before it.

/** Random bytes of a command, drawn by the leader: nobody who has not read the log can tell what random() and randomblob() gave. */
export const seedBytes = 16

/** The end of the year 9999, where SQLite's dates end. */
const timeMsMax = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** Of one entry. */
export interface EntryMoment {
  /** Not the place in the log, which a rehearsal does not know: it must see the chance that the entry will have. */
  readonly seed: Uint8Array
  /** What 'now' is, milliseconds since the epoch; see `entryTimeMs`. */
  readonly timeMs: number
}

/** Time never goes back from entry to entry, whichever leader's clock it comes from. `beforeMs`: of the entry before it. */
export function entryTimeMs(beforeMs: number, proposedAtMs: number): number {
  if (!Number.isFinite(proposedAtMs)) return beforeMs
  return Math.max(beforeMs, Math.min(Math.floor(proposedAtMs), timeMsMax))
}
