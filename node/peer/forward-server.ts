// The other end of forwarding: requests of members, handed to the API with the identity that the member has verified. The API checks that identity's permissions anew.
import type { ForwardedReply, ForwardedRequestHandler } from '../api/forwarder.ts'
import { decodeRequest, encodeReply, forwardFrameBytesMax } from './forward-codec.ts'
import type { FramedSocket } from './framed-socket.ts'
import { frameTypes, type Frame } from './frame.ts'
import { IncomingMembers } from './incoming-members.ts'
import type { Clock } from '../replica/clock.ts'
import { answerPing, silenceMsMax } from './life-signs.ts'
import type { MemberDirectory } from './member-directory.ts'
import type { PeerEvent } from './peer-event.ts'
import type { Admitted } from './peer-listener.ts'
import { WireWriter } from './wire-bytes.ts'
import type { NodeId } from '../raft/membership.ts'

export interface ForwardServerOptions {
  readonly directory: MemberDirectory
  /** Undefined while the API is not ready: requests are sent back untouched. */
  readonly handler: () => ForwardedRequestHandler | undefined
  readonly clock: Clock
  readonly onEvent: (event: PeerEvent) => void
}

/** Of all members together; the API has limits of its own beneath. */
const farewellMsMax = 1_000
const handlingMax = 1_024
const handlingBytesMax = 256 * 1024 * 1024
/** Replies that a member does not read; then it is cut off rather than stored for. */
const unreadBytesMax = 256 * 1024 * 1024

export class ForwardServer {
  readonly #options: ForwardServerOptions
  readonly #incoming: IncomingMembers
  #handling = 0
  #handlingBytes = 0
  #isTaking = true
  #onIdle: () => void = () => {}

  constructor(options: ForwardServerOptions) {
    this.#options = options
    this.#incoming = new IncomingMembers(options.directory)
  }

  admit({ framed, member }: Admitted): void {
    if (member === undefined) return framed.close('not_a_member')
    const { id } = member
    framed.socket.setTimeout(silenceMsMax, () => framed.close('silent'))
    framed.become({
      frameBytesMax: forwardFrameBytesMax,
      onFrame: (frame) => this.#hear(framed, id, frame),
      onClose: (why) => {
        this.#incoming.delete(framed)
        this.#options.onEvent({ kind: 'disconnected', id, purpose: 'forward', direction: 'incoming', why })
      },
    })
    this.#incoming.add(framed, member)
    this.#options.onEvent({ kind: 'connected', id, purpose: 'forward', direction: 'incoming' })
  }

  /**
   * From now on requests are sent back untouched, so that their senders try another node. What is under way is answered first, for a while: a reply that is lost now would
   * be an unknown outcome for its client.
   */
  async close(): Promise<void> {
    this.#isTaking = false
    if (this.#handling > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#options.clock.after(farewellMsMax, resolve)
        this.#onIdle = () => (cancel(), resolve())
      })
    }
    await this.#incoming.end()
  }

  #hear(framed: FramedSocket, from: NodeId, frame: Frame): void {
    if (answerPing(framed, frame)) return undefined
    const decoded = frame.type === frameTypes.forwardRequest ? decodeRequest(frame.body) : undefined
    if (decoded === undefined) {
      this.#options.onEvent({ kind: 'malformed', id: from, defect: 'forward_request' })
      return framed.close('malformed')
    }
    const handler = this.#options.handler()
    const bytes = frame.body.length
    if (handler === undefined || !this.#isTaking || this.#handling >= handlingMax || this.#handlingBytes + bytes > handlingBytesMax)
      return framed.write(frameTypes.forwardNotTaken, [new WireWriter().u32(decoded.id).concat()])
    this.#handling += 1
    this.#handlingBytes += bytes
    // A handler that rejects is a bug and ends the process: nobody knows what it has done.
    void handler.handle(decoded.request).then((reply) => {
      this.#handling -= 1
      this.#handlingBytes -= bytes
      this.#reply(framed, decoded.id, reply)
      if (this.#handling === 0) this.#onIdle()
    })
    return undefined
  }

  #reply(framed: FramedSocket, id: number, reply: ForwardedReply): void {
    if (framed.pendingBytes > unreadBytesMax) return framed.close('does_not_read')
    const parts = encodeReply(id, reply) ?? encodeReply(id, replyTooLarge)
    if (parts !== undefined) framed.write(frameTypes.forwardReply, parts)
  }
}

const replyTooLarge: ForwardedReply = {
  status: 503,
  headers: { 'X-SecureSQL-Code': 'forward_failed', 'Content-Type': 'text/plain; charset=utf-8' },
  body: Buffer.from('the reply is too large to be forwarded; ask the leader directly\n'),
}
