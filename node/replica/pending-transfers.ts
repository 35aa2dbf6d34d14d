// Callers who wait for leadership to be handed over, each with a deadline; and who need not begin to.
import type { NodeId } from '../raft/membership.ts'
import type { RaftStatus } from '../raft/raft-port.ts'
import type { ReplicaProblem } from './replica-port.ts'

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

/** Why leadership cannot be handed over to `to` (undefined: to anybody) as things are; undefined: it may be tried. */
export function transferRefusal({ id, role, leader, membership }: RaftStatus, to: NodeId | undefined): ReplicaProblem['code'] | undefined {
  if (role !== 'leader') return leader === undefined ? 'leader_unknown' : 'not_leader'
  const isPossible = membership.members.some(
    (member) => member.suffrage === 'voter' && member.id !== id && (to === undefined || member.id === to),
  )
  return isPossible ? undefined : 'membership_change_invalid'
}
