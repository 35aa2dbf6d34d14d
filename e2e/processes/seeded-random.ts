// Small seeded randomness: the same seed kills the same nodes in the same order.
import { seededRandom as seededIntegers } from '../../node/raft/seeded-random.ts'

/** Uniform in [0, 1), from the core's own generator. */
export function seededRandom(seed: number): () => number {
  const next = seededIntegers(seed)
  return () => next(2 ** 32) / 2 ** 32
}
