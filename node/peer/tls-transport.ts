// The Transport over the Raft port: one outgoing connection per member for what this node sends, one incoming per member for what it hears.
import type { Clock } from '../replica/clock.ts'
import type { Transport, TransportListener } from '../replica/transport.ts'
import type { Member, Membership, NodeId } from '../raft/membership.ts'
import type { Parcel } from '../raft/message.ts'
import type { FramedSocket } from './framed-socket.ts'
import { frameTypes, type Frame } from './frame.ts'
import type { HelloRefusal } from './hello.ts'
import { answerPing, silenceMsMax } from './life-signs.ts'
import { IncomingMembers } from './incoming-members.ts'
import { isPromise, type LifeMarks } from './life-marks.ts'
import type { MemberDirectory } from './member-directory.ts'
import { MemberLink } from './member-link.ts'
import { decodeMessage, messageBytesMax } from './message-codec.ts'
import type { Dial } from './peer-dialer.ts'
import type { PeerEvent } from './peer-event.ts'
import type { Admitted } from './peer-listener.ts'

export interface TlsTransportOptions {
  readonly directory: MemberDirectory
  readonly dial: Dial
  readonly marks: LifeMarks
  readonly clock: Clock
  readonly random: () => number
  readonly onEvent: (event: PeerEvent) => void
}

/** Why this node itself ends incoming connections of members that may be in the best of health. */
const ourEnds: ReadonlySet<string> = new Set(['replaced', 'no_member_any_more', 'closing', 'ca_removed'])

export class TlsTransport implements Transport {
  readonly #options: TlsTransportOptions
  readonly #links = new Map<NodeId, MemberLink>()
  readonly #incoming: IncomingMembers
  #listener: TransportListener | undefined
  #isClosed = false

  constructor(options: TlsTransportOptions) {
    this.#options = options
    this.#incoming = new IncomingMembers(options.directory)
    options.directory.onChange(() => this.#follow())
  }

  send(parcels: readonly Parcel[]): void {
    for (const parcel of parcels) this.#links.get(parcel.to)?.send(parcel.message)
  }

  setMembership(membership: Membership): void {
    this.#options.directory.update(membership)
  }

  listen(listener: TransportListener): void {
    this.#listener = listener
  }

  /** A member has refused this node. */
  refused(code: HelloRefusal | undefined): void {
    if (code === 'removed_member') this.#listener?.removed()
    if (code === 'rolled_back') this.#listener?.rolledBack()
  }

  /** Takes over an incoming connection for messages; an older one of the same member is replaced: it has dialled anew. */
  admit({ framed, hello, member }: Admitted): void {
    if (member === undefined) return framed.close('not_a_member')
    const { id } = member
    framed.socket.setTimeout(silenceMsMax, () => framed.close('silent'))
    let isLeaving = false
    framed.become({
      // The type counts too.
      frameBytesMax: messageBytesMax + 1,
      onFrame: (frame) => {
        if (frame.type === frameTypes.goodbye) isLeaving = true
        else this.#hear(member, hello.life.process, framed, frame)
      },
      onClose: (why) => {
        this.#incoming.delete(framed)
        // A process that dies breaks what it dialled as well as what it was dialled on; whichever is heard first counts.
        if (!isLeaving && !ourEnds.has(why)) this.#listener?.unreachable(id)
        this.#options.onEvent({ kind: 'disconnected', id, purpose: 'raft', direction: 'incoming', why })
      },
    })
    for (const older of this.#incoming.of(id)) older.close('replaced')
    this.#incoming.add(framed, member)
    this.#options.onEvent({ kind: 'connected', id, purpose: 'raft', direction: 'incoming' })
    // A node that was started again is led again as soon as it listens, not when this node would have tried next.
    this.#links.get(id)?.hurry()
  }

  /** Other certificates are in force: what this node sends goes over connections that show them. */
  certificatesChanged(): void {
    for (const link of this.#links.values()) link.renew()
  }

  close(): void {
    this.#isClosed = true
    for (const link of this.#links.values()) link.close()
    this.#incoming.close()
    this.#links.clear()
  }

  #hear(from: Member, process: Uint8Array, framed: FramedSocket, frame: Frame): void {
    if (answerPing(framed, frame)) return undefined
    const message = frame.type === frameTypes.message ? decodeMessage(frame.body) : 'frame_type'
    if (typeof message !== 'string') {
      if (isPromise(message)) this.#options.marks.promised(from, { process, term: message.term })
      return this.#listener?.message(from.id, message)
    }
    this.#options.onEvent({ kind: 'malformed', id: from.id, defect: message })
    return framed.close(message)
  }

  /** Whom to dial, as the directory says now. */
  #follow(): void {
    if (this.#isClosed) return
    const members = this.#options.directory.others()
    const known = new Set(members.map(({ id }) => id))
    for (const [id, link] of this.#links) if (!known.has(id)) this.#drop(id, link)
    for (const member of members) {
      const link = this.#links.get(member.id)
      if (link === undefined) this.#links.set(member.id, this.#link(member.id))
      else link.update(member)
    }
  }

  #drop(id: NodeId, link: MemberLink): void {
    link.close()
    this.#links.delete(id)
  }

  #link(id: NodeId): MemberLink {
    const { directory, dial, clock, random, onEvent } = this.#options
    const member = directory.member(id)
    if (member === undefined) throw new Error('a link is made for known members only')
    return new MemberLink(member, { dial, clock, random, onEvent, onUnreachable: () => this.#listener?.unreachable(id) })
  }
}
