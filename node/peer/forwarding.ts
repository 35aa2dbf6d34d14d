// The Forwarder over the Raft port, and the live check of members: one link per member, separate from the one that carries heartbeats.
import { fail } from '../../runtime/result.ts'
import type { Forwarder } from '../api/forwarder.ts'
import type { Reachability } from '../api/node-view.ts'
import type { Member, NodeId } from '../raft/membership.ts'
import { ForwardLink, type ForwardLinkOptions } from './forward-link.ts'
import type { MemberDirectory } from './member-directory.ts'
import { MemberLinks } from './member-links.ts'

export interface ForwardingOptions extends ForwardLinkOptions {
  readonly directory: MemberDirectory
  readonly self: { readonly nodeId: NodeId; readonly version: string }
}

export class Forwarding implements Forwarder {
  readonly #options: ForwardingOptions
  readonly #links: MemberLinks<ForwardLink>

  constructor(options: ForwardingOptions) {
    this.#options = options
    this.#links = new MemberLinks(options.directory, (member) => new ForwardLink(member, options))
  }

  forward: Forwarder['forward'] = (to, request) => {
    const link = this.#links.to(to)
    if (link !== undefined) return link.forward(request)
    return Promise.resolve(fail({ code: 'forward_not_sent', message: `${to} is no member that this node knows` }))
  }

  /** Live check over the Raft port: a life sign there and back. */
  async reach(member: Pick<Member, 'id'>, options: { readonly timeoutMs: number }): Promise<Reachability> {
    const { self } = this.#options
    if (member.id === self.nodeId) return { reachable: true, seconds: 0, version: self.version, error: undefined }
    const link = this.#links.to(member.id)
    if (link === undefined) return unreachable(`${member.id} is no member that this node knows`)
    const signed = await link.ping(options.timeoutMs)
    if (!signed.ok) return unreachable(signed.problem)
    return { reachable: true, seconds: signed.value.seconds, version: signed.value.version, error: undefined }
  }

  certificatesChanged(): void {
    this.#links.renew()
  }

  close(): void {
    this.#links.close()
  }
}

function unreachable(error: string): Reachability {
  return { reachable: false, seconds: 0, version: undefined, error }
}
