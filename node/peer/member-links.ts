// One link for each member that this node has something to ask of, made when it is first needed, and following what the directory says of that member.
import type { Member, NodeId } from '../raft/membership.ts'
import type { MemberDirectory } from './member-directory.ts'

interface FollowingLink {
  /** The member as the newest membership has it. */
  update(member: Member): void
  /** What is asked from now on goes over a new connection. */
  renew(): void
  close(): void
}

export class MemberLinks<Link extends FollowingLink> {
  readonly #directory: MemberDirectory
  readonly #make: (member: Member) => Link
  readonly #links = new Map<NodeId, Link>()

  constructor(directory: MemberDirectory, make: (member: Member) => Link) {
    this.#directory = directory
    this.#make = make
    directory.onChange(() => this.#follow())
  }

  /** Undefined: no member that this node knows. */
  to(id: NodeId): Link | undefined {
    const present = this.#links.get(id)
    if (present !== undefined) return present
    const member = this.#directory.member(id)
    if (member === undefined) return undefined
    const link = this.#make(member)
    this.#links.set(id, link)
    return link
  }

  renew(): void {
    for (const link of this.#links.values()) link.renew()
  }

  close(): void {
    for (const link of this.#links.values()) link.close()
  }

  #follow(): void {
    for (const [id, link] of this.#links) {
      const member = this.#directory.member(id)
      if (member !== undefined) link.update(member)
      else {
        link.close()
        this.#links.delete(id)
      }
    }
  }
}

/** Another address or incarnation means another connection. */
export function isElsewhere(before: Member, member: Member): boolean {
  return before.raftAddress !== member.raftAddress || before.incarnation !== member.incarnation
}
