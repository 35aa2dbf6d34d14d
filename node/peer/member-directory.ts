// Whom this node knows: the members of the applied membership, and those for whom a member has vouched (see vouching.ts) until the log says it itself.
//
// A node that has just joined applies the memberships of the past first, in which it and perhaps the leader do not appear; until it has applied one that lists itself, the
// members that it was told of when it joined count as well, or it would hang up on the one who sends it the log.
// One who was a member and is none any more is remembered for the life of the process: nobody can vouch it back in.
import type { Member, Membership, NodeId } from '../raft/membership.ts'

type Members = ReadonlyMap<NodeId, Member>

export class MemberDirectory {
  readonly #self: NodeId
  readonly #removed = new Set<NodeId>()
  readonly #vouched = new Map<NodeId, Member>()
  readonly #listeners: (() => void)[] = []
  #told: Members = new Map()
  #applied: Members = new Map()
  #hasAppliedItself = false

  constructor(self: NodeId) {
    this.#self = self
  }

  /** The members known when this node formed or joined its cluster. */
  begin(membership: Membership): void {
    this.#told = byId(membership)
    this.#changed()
  }

  /** As applied from the log. */
  update(membership: Membership): void {
    const next = byId(membership)
    if (this.#hasAppliedItself) for (const id of this.#applied.keys()) if (!next.has(id)) this.#removed.add(id)
    this.#hasAppliedItself ||= next.has(this.#self)
    this.#applied = next
    for (const id of next.keys()) this.#removed.delete(id)
    for (const id of this.#vouched.keys()) if (next.has(id) || this.#removed.has(id)) this.#vouched.delete(id)
    this.#changed()
  }

  /** False: it was removed, or is known already. */
  vouch(member: Member): boolean {
    if (this.#removed.has(member.id) || this.member(member.id) !== undefined || member.id === this.#self) return false
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

  wasRemoved(id: NodeId): boolean {
    return this.#removed.has(id)
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

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

function byId(membership: Membership): Members {
  return new Map(membership.members.map((member) => [member.id, member]))
}
