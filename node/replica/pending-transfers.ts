// Callers who wait for leadership to be handed over, each with a deadline.

interface PendingTransfer {
  readonly deadlineAtMs: number
  readonly end: (isDone: boolean) => void
}

export class PendingTransfers {
  readonly #transfers = new Set<PendingTransfer>()

  get count(): number {
    return this.#transfers.size
  }

  add(transfer: PendingTransfer): void {
    this.#transfers.add(transfer)
  }

  /** Another node leads. */
  done(): void {
    this.#end(
      () => true,
      (transfer) => transfer.end(true),
    )
  }

  expire(nowMs: number): void {
    this.#end(
      ({ deadlineAtMs }) => deadlineAtMs <= nowMs,
      (transfer) => transfer.end(false),
    )
  }

  endAll(): void {
    this.#end(
      () => true,
      (transfer) => transfer.end(false),
    )
  }

  #end(which: (transfer: PendingTransfer) => boolean, how: (transfer: PendingTransfer) => void): void {
    for (const transfer of this.#transfers) {
      if (!which(transfer)) continue
      this.#transfers.delete(transfer)
      how(transfer)
    }
  }
}
