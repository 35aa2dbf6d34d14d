// When this node last heard from the leader that it follows.
import type { NodeId } from '../raft/membership.ts'
import type { Message } from '../raft/message.ts'

export class LeaderContact {
  #leaderHeardAtMs: number
  #heard: { readonly from: NodeId; readonly atMs: number } | undefined

  constructor(startedAtMs: number) {
    this.#leaderHeardAtMs = startedAtMs
  }

  /** Whether the sender is the leader is known only after the core has seen the message. */
  heard(from: NodeId, message: Message, atMs: number): void {
    if (message.kind === 'append' || message.kind === 'install-snapshot') this.#heard = { from, atMs }
  }

  settle(leader: NodeId | undefined): void {
    if (this.#heard !== undefined && this.#heard.from === leader) this.#leaderHeardAtMs = this.#heard.atMs
    this.#heard = undefined
  }

  ageMs(nowMs: number): number {
    return nowMs - this.#leaderHeardAtMs
  }
}
