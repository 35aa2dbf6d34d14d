// How much a leader has appended and not yet committed. Without a bound, a leader that has lost its quorum would keep taking writes until memory ends.

export class UncommittedBytes {
  readonly #sizes: number[] = []
  #firstIndex: number
  #done = 0
  #total = 0

  /** Counting starts with the leader's own first entry; what it inherited was bounded by its predecessors. */
  constructor(firstIndex: number) {
    this.#firstIndex = firstIndex
  }

  get total(): number {
    return this.#total
  }

  /** Entries come in order of index, one call each. */
  add(bytes: number): void {
    this.#sizes.push(bytes)
    this.#total += bytes
  }

  commitTo(index: number): void {
    while (this.#done < this.#sizes.length && this.#firstIndex + this.#done <= index) {
      this.#total -= this.#sizes[this.#done] ?? 0
      this.#done += 1
    }
    if (this.#done < 1024 || this.#done * 2 < this.#sizes.length) return
    this.#sizes.splice(0, this.#done)
    this.#firstIndex += this.#done
    this.#done = 0
  }
}
