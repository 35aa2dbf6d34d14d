// Decisions of the fuzzer, from a seed.
import { seededRandom } from '../../raft/seeded-random.ts'

export class Chance {
  readonly below: (limit: number) => number

  constructor(seed: number) {
    this.below = seededRandom(seed)
  }

  pick<T>(from: readonly [T, ...T[]]): T {
    return from[this.below(from.length)] ?? from[0]
  }

  /** Undefined when there is nothing to pick from. */
  any<T>(from: readonly T[]): T | undefined {
    return from[this.below(from.length)]
  }

  /** In `percent` of a hundred cases. */
  isLucky(percent: number): boolean {
    return this.below(100) < percent
  }

  /** `text` in so many cases, else nothing. */
  maybe(percent: number, text: () => string): string {
    return this.isLucky(percent) ? text() : ''
  }

  /** Between `min` and `max` of them. */
  some<T>(min: number, max: number, make: () => T): T[] {
    return Array.from({ length: min + this.below(max - min + 1) }, make)
  }

  /** By weight. */
  weighted<T>(choices: readonly (readonly [weight: number, T])[]): T | undefined {
    let left = this.below(choices.reduce((sum, [weight]) => sum + weight, 0))
    return choices.find(([weight]) => (left -= weight) < 0)?.[1]
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.below(256))
  }
}
