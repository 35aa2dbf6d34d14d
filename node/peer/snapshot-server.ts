// The other end of snapshot-links.ts: members fetch copies of this node's state machine, one chunk after another. The sender keeps next to nothing for a receiver: one read
// from the disk and one chunk in the socket. A few receivers at once are enough (each is bound by its disk and the network), so that reading for them never takes the
// disk from writes; the others are told `busy` and come again.
import type { NodeId } from '../raft/membership.ts'
import type { Clock } from '../replica/clock.ts'
import type { SnapshotStore } from '../replica/snapshot-store.ts'
import type { FramedSocket } from './framed-socket.ts'
import type { Frame } from './frame.ts'
import { IncomingMembers } from './incoming-members.ts'
import { answerPing, silenceMsMax } from './life-signs.ts'
import type { MemberDirectory } from './member-directory.ts'
import type { PeerEvent } from './peer-event.ts'
import type { Admitted } from './peer-listener.ts'
import {
  chunkBytesMax,
  decodeSnapshotRequest,
  encodeChunk,
  encodeManifest,
  encodeSnapshotRefusal,
  snapshotRequestBytesMax,
  type FrameParts,
  type SnapshotRequest,
} from './snapshot-codec.ts'

export interface SnapshotServerOptions {
  readonly directory: MemberDirectory
  /** Undefined while there is nothing to copy. */
  readonly store: () => Pick<SnapshotStore, 'take' | 'read'> | undefined
  readonly clock: Clock
  readonly onEvent: (event: PeerEvent) => void
}

export const receiversMax = 2
/** Questions under way in the store, of connections that have ended meanwhile too: who dials anew all the time must not start one more each time. */
export const answeringMax = 2 * receiversMax
/** One who holds a place and asks nothing loses it: a receiver asks again as soon as its disk has taken a chunk. */
const idleMsMax = 30_000
/** The chunk that is leaving, and the last of the one before it that the kernel has not confirmed yet; more is left unread by the receiver. */
const unreadBytesMax = chunkBytesMax + 128 * 1024

interface Receiver {
  readonly id: NodeId
  readonly framed: FramedSocket
  isAnswering: boolean
  cancelIdle: () => void
}

export class SnapshotServer {
  readonly #options: SnapshotServerOptions
  readonly #incoming: IncomingMembers
  /** Those that have a place. */
  readonly #served = new Set<Receiver>()
  #answering = 0

  constructor(options: SnapshotServerOptions) {
    this.#options = options
    this.#incoming = new IncomingMembers(options.directory)
  }

  /** An older connection of the same member is replaced: it has dialled anew, and one member has one place. */
  admit({ framed, member }: Admitted): void {
    if (member === undefined) return framed.close('not_a_member')
    const { id } = member
    const receiver: Receiver = { id, framed, isAnswering: false, cancelIdle: () => {} }
    framed.socket.setTimeout(silenceMsMax, () => framed.close('silent'))
    framed.become({
      frameBytesMax: snapshotRequestBytesMax,
      onFrame: (frame) => this.#hear(receiver, frame),
      onClose: (why) => {
        this.#incoming.delete(framed)
        this.#served.delete(receiver)
        receiver.cancelIdle()
        this.#options.onEvent({ kind: 'disconnected', id, purpose: 'snapshot', direction: 'incoming', why })
      },
    })
    for (const older of this.#incoming.of(id)) older.close('replaced')
    for (const served of this.#served) if (served.id === id) this.#served.delete(served)
    this.#incoming.add(framed, member)
    this.#options.onEvent({ kind: 'connected', id, purpose: 'snapshot', direction: 'incoming' })
    this.#awaitQuestion(receiver)
  }

  close(): void {
    this.#incoming.close()
  }

  #hear(receiver: Receiver, frame: Frame): void {
    const { framed } = receiver
    if (framed.pendingBytes > unreadBytesMax) return framed.close('does_not_read')
    if (answerPing(framed, frame)) return undefined
    const request = decodeSnapshotRequest(frame)
    if (request === undefined || receiver.isAnswering) {
      this.#options.onEvent({ kind: 'malformed', id: receiver.id, defect: 'snapshot_request' })
      return framed.close('malformed')
    }
    receiver.cancelIdle()
    if (!this.#hasPlace(receiver)) {
      this.#options.onEvent({ kind: 'snapshot-busy', id: receiver.id })
      this.#awaitQuestion(receiver)
      return this.#write(receiver, encodeSnapshotRefusal('busy'))
    }
    receiver.isAnswering = true
    this.#answering += 1
    // The store says what it cannot do in its result; when it throws, its disk has failed, and the process ends.
    void this.#answer(request).then((answer) => {
      receiver.isAnswering = false
      this.#answering -= 1
      this.#awaitQuestion(receiver)
      this.#write(receiver, answer)
    })
    return undefined
  }

  #hasPlace(receiver: Receiver): boolean {
    if (this.#answering >= answeringMax) return false
    if (this.#served.has(receiver)) return true
    if (this.#served.size >= receiversMax) return false
    this.#served.add(receiver)
    return true
  }

  async #answer(request: SnapshotRequest): Promise<FrameParts> {
    const store = this.#options.store()
    if (store === undefined) return encodeSnapshotRefusal('snapshot_unavailable')
    if (request.kind === 'take') {
      const taken = await store.take({ indexMin: request.indexMin })
      return taken.ok ? encodeManifest(taken.value) : encodeSnapshotRefusal(taken.problem)
    }
    const read = await store.read({ id: request.id, offset: request.offset, length: request.length })
    return read.ok ? encodeChunk(request, read.value) : encodeSnapshotRefusal(read.problem)
  }

  #write({ framed }: Receiver, { type, parts }: FrameParts): void {
    framed.write(type, parts)
  }

  #awaitQuestion(receiver: Receiver): void {
    receiver.cancelIdle()
    if (!receiver.framed.isClosed) receiver.cancelIdle = this.#options.clock.after(idleMsMax, () => receiver.framed.close('idle'))
  }
}
