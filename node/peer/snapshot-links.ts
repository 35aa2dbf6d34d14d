// The SnapshotSource over the Raft port: one connection per member that is fetched from, beside the one that carries heartbeats, dialled when it is needed.
// One question at a time is under way, so no more than one chunk is ever in memory here, and the receiver's disk sets the pace. A question changes nothing at the other side:
// when the connection breaks it is asked once more on a new one, and after that the caller decides.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Member, NodeId } from '../raft/membership.ts'
import type { Clock } from '../replica/clock.ts'
import type { SnapshotSource, SnapshotSourceProblem } from '../replica/snapshot-source.ts'
import type { FramedSocket } from './framed-socket.ts'
import { LifeSigns } from './life-signs.ts'
import type { MemberDirectory } from './member-directory.ts'
import { isElsewhere, MemberLinks } from './member-links.ts'
import { pause } from './pause.ts'
import type { Dial } from './peer-dialer.ts'
import type { PeerEvent } from './peer-event.ts'
import {
  chunkBytesMax,
  decodeSnapshotReply,
  encodeSnapshotRequest,
  snapshotReplyBytesMax,
  type SnapshotReply,
  type SnapshotRequest,
} from './snapshot-codec.ts'

export interface SnapshotLinksOptions {
  readonly directory: MemberDirectory
  readonly dial: Dial
  readonly clock: Clock
  readonly onEvent: (event: PeerEvent) => void
}

const dialMsMax = 3_000
/** For a copy of the whole database to be made; the other side's life signs are watched meanwhile. */
const manifestMsMax = 600_000
/** A megabyte over a very slow line. */
const chunkMsMax = 60_000
/** After a failure or `busy`: whoever asks again at once waits so long. */
const retryPauseMs = 500
/** A fetch is one question after another; a few more may stand in line while one fetch gives way to another. */
const waitingMax = 4

export class SnapshotLinks implements SnapshotSource {
  readonly #links: MemberLinks<SnapshotLink>
  #isClosed = false

  constructor(options: SnapshotLinksOptions) {
    this.#links = new MemberLinks(options.directory, (member) => new SnapshotLink(member, options))
  }

  async manifest(from: NodeId, options: { readonly indexMin: number }) {
    const reply = await this.#ask(from, { kind: 'take', indexMin: options.indexMin })
    if (!reply.ok) return reply
    return reply.value.kind === 'manifest' ? ok(reply.value.manifest) : fail<SnapshotSourceProblem>('unreachable')
  }

  async chunk(from: NodeId, options: { readonly id: string; readonly offset: number; readonly length: number }) {
    const { id, offset, length } = options
    const reply = await this.#ask(from, { kind: 'read', id, offset, length: Math.min(length, chunkBytesMax) })
    if (!reply.ok) return reply
    return reply.value.kind === 'chunk' ? ok(reply.value.bytes) : fail<SnapshotSourceProblem>('unreachable')
  }

  certificatesChanged(): void {
    this.#links.renew()
  }

  close(): void {
    this.#isClosed = true
    this.#links.close()
  }

  async #ask(from: NodeId, request: SnapshotRequest): Promise<Result<SnapshotReply, SnapshotSourceProblem>> {
    const link = this.#isClosed ? undefined : this.#links.to(from)
    const reply = await link?.ask(request)
    if (reply?.kind !== 'refused') return reply === undefined ? fail('unreachable') : ok(reply)
    return fail(reply.code === 'busy' ? 'unreachable' : reply.code)
  }
}

/** A living connection, and what is asked on it. */
interface Live {
  readonly framed: FramedSocket
  settle: ((reply: SnapshotReply | undefined) => void) | undefined
  request: SnapshotRequest | undefined
}

class SnapshotLink {
  readonly #options: SnapshotLinksOptions
  #member: Member
  #live: Live | undefined
  #line: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #notBeforeMs = -Infinity
  #isClosed = false

  constructor(member: Member, options: SnapshotLinksOptions) {
    this.#member = member
    this.#options = options
  }

  /** Undefined: no answer. */
  async ask(request: SnapshotRequest): Promise<SnapshotReply | undefined> {
    if (this.#waiting >= waitingMax) return undefined
    this.#waiting += 1
    const reply = this.#line.then(() => this.#inTurn(request))
    this.#line = reply
    return reply.finally(() => {
      this.#waiting -= 1
    })
  }

  update(member: Member): void {
    const before = this.#member
    this.#member = member
    if (isElsewhere(before, member)) this.renew()
  }

  /** What is under way is asked anew on the next connection. */
  renew(): void {
    this.#live?.framed.close('renewed')
    this.#live = undefined
  }

  close(): void {
    this.#isClosed = true
    this.#live?.framed.close('link_closed')
    this.#live = undefined
  }

  async #inTurn(request: SnapshotRequest): Promise<SnapshotReply | undefined> {
    const { clock } = this.#options
    const waitMs = this.#notBeforeMs - clock.monotonicMs()
    if (waitMs > 0) await pause(clock, waitMs)
    const first = this.#live === undefined ? undefined : await this.#exchange(this.#live, request)
    const reply = first ?? (await this.#onNewConnection(request))
    const isDone = reply !== undefined && !(reply.kind === 'refused' && reply.code === 'busy')
    if (isDone) return reply
    this.#notBeforeMs = clock.monotonicMs() + retryPauseMs
    // Whoever has no place needs no connection.
    this.#live?.framed.close('link_closed')
    return reply
  }

  async #onNewConnection(request: SnapshotRequest): Promise<SnapshotReply | undefined> {
    if (this.#isClosed) return undefined
    const member = this.#member
    const answered = await this.#options.dial({ address: member.raftAddress, purpose: 'snapshot', member, timeoutMs: dialMsMax })
    if (!answered.ok) {
      this.#options.onEvent({ kind: 'dial-failed', id: member.id, purpose: 'snapshot', problem: answered.problem })
      return undefined
    }
    const live = this.#begin(answered.value.framed)
    // The member may have moved, or this node may be closing, while it was dialled.
    if (this.#isClosed || this.#member !== member) live.framed.close('link_closed')
    return this.#exchange(live, request)
  }

  #begin(framed: FramedSocket): Live {
    const { clock, onEvent } = this.#options
    const { id } = this.#member
    const live: Live = { framed, settle: undefined, request: undefined }
    this.#live = live
    const signs = new LifeSigns(framed, clock)
    framed.become({
      frameBytesMax: snapshotReplyBytesMax,
      onFrame: (frame) => {
        if (signs.hears(frame)) return undefined
        const reply = live.request === undefined ? undefined : decodeSnapshotReply(frame, live.request)
        if (reply !== undefined) return live.settle?.(reply)
        onEvent({ kind: 'malformed', id, defect: 'snapshot_reply' })
        return framed.close('malformed')
      },
      onClose: (why) => {
        if (this.#live === live) this.#live = undefined
        live.settle?.(undefined)
        onEvent({ kind: 'disconnected', id, purpose: 'snapshot', direction: 'outgoing', why })
      },
    })
    onEvent({ kind: 'connected', id, purpose: 'snapshot', direction: 'outgoing' })
    return live
  }

  /** Undefined: the connection broke, or nothing came in time and it was closed. */
  #exchange(live: Live, request: SnapshotRequest): Promise<SnapshotReply | undefined> {
    const { clock } = this.#options
    if (live.framed.isClosed || live.framed.socket.destroyed) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const timeoutMs = request.kind === 'take' ? manifestMsMax : chunkMsMax
      const cancel = clock.after(timeoutMs, () => live.framed.close('deadline'))
      live.request = request
      live.settle = (reply) => {
        cancel()
        live.request = undefined
        live.settle = undefined
        resolve(reply)
      }
      const { type, parts } = encodeSnapshotRequest(request)
      live.framed.write(type, parts)
    })
  }
}
