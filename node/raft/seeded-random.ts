// The only source of chance in the core: election timeouts (Raft §9.3) and the first number of a life's read requests. Seeded, so that a run can be replayed.

/** A generator of integers in [0, limit), the same sequence for the same seed (mulberry32; quality is ample for spreading timeouts). */
export function seededRandom(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}
