// Whom this node knows: the members of the applied membership, and those for whom a member has vouched (see vouching.ts) until the log says it itself.
//
// A node that has just joined applies the memberships of the past first, in which it and perhaps the leader do not appear; until it has applied one that lists itself, the
// members that it was told of when it joined count as well, or it would hang up on the one who sends it the log.
// One who was a member and is none any more is remembered, by incarnation, for the life of the process: nobody can vouch it back in, it may not join again with that data
// directory, and when it calls it is told. Founders that the applied membership no longer lists were removed too: nothing was applied before they were members.
// (Not so those whom a node was told of when it joined: they may be newer than what it has applied.)
import type { Member, Membership, NodeId } from '../raft/membership.ts'
import type { ClusterIdentity } from './cluster-identity.ts'

/** Of one id; a node that is wiped and removed this often in the life of a process has other troubles. */
const incarnationsMax = 16

type Members = ReadonlyMap<NodeId, Member>

export class MemberDirectory {
  readonly #self: NodeId
  readonly #removed = new Map<NodeId, readonly string[]>()
  readonly #vouched = new Map<NodeId, Member>()
  readonly #listeners: (() => void)[] = []
  #told: Members = new Map()
  #founders: Members = new Map()
  #applied: Members = new Map()
  #hasAppliedItself = false

  constructor(self: NodeId) {
    this.#self = self
  }

  /** The members known when this node formed or joined its cluster. */
  begin({ members, origin }: Pick<ClusterIdentity, 'members' | 'origin'>): void {
    this.#told = byId(members)
    this.#founders = origin === 'formed' ? this.#told : new Map()
    this.#changed()
  }

  /** As applied from the log. */
  update(membership: Membership): void {
    const next = byId(membership)
    const before = this.#hasAppliedItself ? this.#applied : this.#founders
    this.#hasAppliedItself ||= next.has(this.#self)
    if (this.#hasAppliedItself) for (const member of before.values()) if (!isIn(next, member)) this.#noteRemoved(member)
    this.#applied = next
    for (const { id, incarnation } of next.values()) this.#forgetRemoved(id, incarnation)
    for (const member of this.#vouched.values()) if (next.has(member.id) || this.#wasRemoved(member)) this.#vouched.delete(member.id)
    this.#changed()
  }

  /** False: it was removed, or is known already. */
  vouch(member: Member): boolean {
    if (this.#wasRemoved(member) || this.member(member.id) !== undefined || member.id === this.#self) return false
    this.#vouched.set(member.id, member)
    this.#changed()
    return true
  }

  /** Never this node itself. */
  member(id: NodeId): Member | undefined {
    return id === this.#self ? undefined : (this.known(id) ?? this.#vouched.get(id))
  }

  /** By the log, or told when this node joined; this node included. What it may tell others. */
  known(id: NodeId): Member | undefined {
    return this.#applied.get(id) ?? (this.#hasAppliedItself ? undefined : this.#told.get(id))
  }

  /** Incarnations under which `id` was a member and is none any more. */
  removed(id: NodeId): readonly string[] {
    return this.#removed.get(id) ?? []
  }

  /** Everyone but this node. */
  others(): readonly Member[] {
    const told = this.#hasAppliedItself ? [] : Array.from(this.#told.keys())
    const ids = new Set([...this.#applied.keys(), ...told, ...this.#vouched.keys()])
    return Array.from(ids).flatMap((id) => this.member(id) ?? [])
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  #wasRemoved({ id, incarnation }: Pick<Member, 'id' | 'incarnation'>): boolean {
    return this.removed(id).includes(incarnation)
  }

  #noteRemoved({ id, incarnation }: Member): void {
    this.#removed.set(id, [...this.removed(id).filter((other) => other !== incarnation), incarnation].slice(-incarnationsMax))
  }

  /** The log has the last word. */
  #forgetRemoved(id: NodeId, incarnation: string): void {
    const left = this.removed(id).filter((other) => other !== incarnation)
    if (left.length > 0) this.#removed.set(id, left)
    else this.#removed.delete(id)
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

function isIn(members: Members, { id, incarnation }: Member): boolean {
  return members.get(id)?.incarnation === incarnation
}

function byId(membership: Membership): Members {
  return new Map(membership.members.map((member) => [member.id, member]))
}
