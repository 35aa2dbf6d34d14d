// The Forwarder over the Raft port, and the live check of members: one link per member, separate from the one that carries heartbeats.
import { fail } from '../../runtime/result.ts'
import type { Forwarder } from '../api/forwarder.ts'
import type { Reachability } from '../api/node-view.ts'
import type { Member, NodeId } from '../raft/membership.ts'
import { ForwardLink, type ForwardLinkOptions } from './forward-link.ts'
import type { MemberDirectory } from './member-directory.ts'

export interface ForwardingOptions extends ForwardLinkOptions {
  readonly directory: MemberDirectory
  readonly self: { readonly nodeId: NodeId; readonly version: string }
}

export class Forwarding implements Forwarder {
  readonly #options: ForwardingOptions
  readonly #links = new Map<NodeId, ForwardLink>()

  constructor(options: ForwardingOptions) {
    this.#options = options
    options.directory.onChange(() => this.#follow())
  }

  forward: Forwarder['forward'] = (to, request) => {
    const link = this.#link(to)
    if (link !== undefined) return link.forward(request)
    return Promise.resolve(fail({ code: 'forward_not_sent', message: `${to} is no member that this node knows` }))
  }

  /** Live check over the Raft port: a life sign there and back. */
  async reach(member: Pick<Member, 'id'>, options: { readonly timeoutMs: number }): Promise<Reachability> {
    const { self } = this.#options
    if (member.id === self.nodeId) return { reachable: true, seconds: 0, version: self.version, error: undefined }
    const link = this.#link(member.id)
    if (link === undefined) return unreachable(`${member.id} is no member that this node knows`)
    const signed = await link.ping(options.timeoutMs)
    if (!signed.ok) return unreachable(signed.problem)
    return { reachable: true, seconds: signed.value.seconds, version: signed.value.version, error: undefined }
  }

  certificatesChanged(): void {
    for (const link of this.#links.values()) link.renew()
  }

  close(): void {
    for (const link of this.#links.values()) link.close()
  }

  #link(id: NodeId): ForwardLink | undefined {
    const present = this.#links.get(id)
    if (present !== undefined) return present
    const member = this.#options.directory.member(id)
    if (member === undefined) return undefined
    const link = new ForwardLink(member, this.#options)
    this.#links.set(id, link)
    return link
  }

  #follow(): void {
    for (const [id, link] of this.#links) {
      const member = this.#options.directory.member(id)
      if (member !== undefined) link.update(member)
      else {
        link.close()
        this.#links.delete(id)
      }
    }
  }
}

function unreachable(error: string): Reachability {
  return { reachable: false, seconds: 0, version: undefined, error }
}
