// Whether this node may serve what it holds (see Standing in replica-port.ts).
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Standing } from './replica-port.ts'

export class OwnStanding {
  readonly #id: NodeId
  #wasMember: boolean
  #isRemoved = false
  #isDiverged = false

  /** `membership`: as applied when this node starts. A founder was a member before anything was applied, so one that is not in it has been removed in an earlier life. */
  constructor(id: NodeId, start: { readonly membership: Membership; readonly founders: Membership }) {
    this.#id = id
    this.#wasMember = this.#isIn(start.founders)
    this.membershipChanged(start.membership)
  }

  get current(): Standing {
    if (this.#isRemoved) return 'removed'
    return this.#isDiverged ? 'diverged' : 'member'
  }

  /** Why nothing may be served; undefined: it may. */
  get problem(): 'removed' | 'diverged' | undefined {
    const { current } = this
    return current === 'member' ? undefined : current
  }

  get isDiverged(): boolean {
    return this.#isDiverged
  }

  /** A membership has taken effect. One who joins reads the cluster's past first, in which it does not occur: only who was in can be out. */
  membershipChanged(membership: Membership): void {
    if (this.#isIn(membership)) {
      this.#wasMember = true
      this.#isRemoved = false
    } else if (this.#wasMember) this.#isRemoved = true
  }

  /** A member says so: the entry itself may never reach a node that nobody sends anything to any more. */
  toldRemoved(): void {
    this.#isRemoved = true
  }

  diverged(): void {
    this.#isDiverged = true
  }

  /** A snapshot has taken the place of everything. */
  replaced(): void {
    this.#isDiverged = false
  }

  #isIn({ members }: Membership): boolean {
    return members.some(({ id }) => id === this.#id)
  }
}
