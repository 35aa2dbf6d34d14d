// Chance from a seed, in the forms that the simulator asks for.
import { seededRandom } from '../raft/seeded-random.ts'

export class Chance {
  readonly #draw: (limit: number) => number

  constructor(seed: number) {
    this.#draw = seededRandom(mixed(seed))
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    return this.#draw(limit)
  }

  /** In [0, 1). */
  fraction(): number {
    return this.#draw(2 ** 30) / 2 ** 30
  }

  between(min: number, max: number): number {
    return min + this.fraction() * (max - min)
  }

  happens(probability: number): boolean {
    return probability > 0 && this.fraction() < probability
  }

  exponential(mean: number): number {
    return -Math.log(1 - this.fraction()) * mean
  }

  pick<Item>(items: readonly Item[]): Item | undefined {
    return items[this.below(Math.max(1, items.length))]
  }

  shuffled<Item>(items: readonly Item[]): Item[] {
    return items
      .map((item) => ({ item, lot: this.fraction() }))
      .toSorted((a, b) => a.lot - b.lot)
      .map(({ item }) => item)
  }

  /** A source of its own, so that one part of a run can be changed without changing the others. */
  fork(name: number): Chance {
    return new Chance(mixed(this.below(2 ** 30) ^ Math.imul(name, 0x9e3779b1)))
  }
}

/** Neighbouring seeds shall not give similar runs. */
export function mixed(seed: number): number {
  let bits = (seed ^ Math.floor(seed / 2 ** 32)) >>> 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

export function randomBytesFrom(chance: Chance, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => chance.below(256))
}
