// Reads that wait for the leader's confirmation. All that ask within one turn of the loop share one question to the core.
import type { RefusalCode } from '../raft/raft-port.ts'

export type ReadEnd =
  | { readonly kind: 'confirmed'; readonly index: number }
  | { readonly kind: 'refused'; readonly code: RefusalCode }
  | { readonly kind: 'late' }

export interface PendingRead {
  readonly deadlineAtMs: number
  readonly end: (end: ReadEnd) => void
}

export class PendingReads {
  #gathering: PendingRead[] = []
  readonly #asked = new Map<number, PendingRead[]>()
  #count = 0
  #earliestDeadlineAtMs = Infinity

  get count(): number {
    return this.#count
  }

  add(read: PendingRead): void {
    this.#count += 1
    this.#earliestDeadlineAtMs = Math.min(this.#earliestDeadlineAtMs, read.deadlineAtMs)
    this.#gathering.push(read)
  }

  /** Those that have gathered are asked for as read `id`; false when there are none. */
  ask(id: number): boolean {
    if (this.#gathering.length === 0) return false
    this.#asked.set(id, this.#gathering)
    this.#gathering = []
    return true
  }

  end(id: number, end: ReadEnd): void {
    const reads = this.#asked.get(id) ?? []
    this.#asked.delete(id)
    this.#endThem(reads, end)
  }

  expire(nowMs: number): void {
    if (nowMs < this.#earliestDeadlineAtMs) return
    this.#earliestDeadlineAtMs = Infinity
    this.#gathering = this.#withoutLate(this.#gathering, nowMs)
    for (const [id, reads] of this.#asked) {
      const left = this.#withoutLate(reads, nowMs)
      // An empty question stays: its answer is still to come and finds nobody waiting.
      if (left.length !== reads.length) this.#asked.set(id, left)
    }
  }

  endAll(): void {
    this.#endThem(this.#gathering.splice(0), { kind: 'late' })
    for (const id of Array.from(this.#asked.keys())) this.end(id, { kind: 'late' })
  }

  #withoutLate(reads: PendingRead[], nowMs: number): PendingRead[] {
    for (const { deadlineAtMs } of reads)
      if (deadlineAtMs > nowMs) this.#earliestDeadlineAtMs = Math.min(this.#earliestDeadlineAtMs, deadlineAtMs)
    const late = reads.filter((read) => read.deadlineAtMs <= nowMs)
    if (late.length === 0) return reads
    this.#endThem(late, { kind: 'late' })
    return reads.filter((read) => read.deadlineAtMs > nowMs)
  }

  #endThem(reads: readonly PendingRead[], end: ReadEnd): void {
    this.#count -= reads.length
    for (const read of reads) read.end(end)
  }
}
