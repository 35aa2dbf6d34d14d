// Incoming connections of members, closed as soon as their member is none any more or is another incarnation.
import type { NodeId } from '../raft/membership.ts'
import type { FramedSocket } from './framed-socket.ts'
import type { MemberDirectory } from './member-directory.ts'

export class IncomingMembers {
  readonly #connections = new Map<FramedSocket, { readonly id: NodeId; readonly incarnation: string }>()

  constructor(directory: MemberDirectory) {
    directory.onChange(() => {
      for (const [framed, { id, incarnation }] of this.#connections)
        if (directory.member(id)?.incarnation !== incarnation) framed.close('no_member_any_more')
    })
  }

  add(framed: FramedSocket, member: { readonly id: NodeId; readonly incarnation: string }): void {
    this.#connections.set(framed, member)
  }

  delete(framed: FramedSocket): void {
    this.#connections.delete(framed)
  }

  of(id: NodeId): readonly FramedSocket[] {
    return Array.from(this.#connections).flatMap(([framed, member]) => (member.id === id ? [framed] : []))
  }

  close(): void {
    for (const framed of this.#connections.keys()) framed.close('closing')
  }

  /** What was written still leaves; resolves when it has, or when nobody took it in time. */
  async end(): Promise<void> {
    const ended = Array.from(this.#connections.keys(), (framed) => {
      const closed = new Promise<void>((resolve) => framed.socket.once('close', () => resolve()))
      framed.end('closing')
      return framed.socket.closed ? Promise.resolve() : closed
    })
    await Promise.all(ended)
  }
}
