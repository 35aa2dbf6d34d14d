// The connection on which this node forwards requests to one member. Dialled when first needed; many requests share it. What has been written to it is never sent again:
// when it breaks, its requests end as `outcome_unknown`.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Clock } from '../replica/clock.ts'
import type { Member } from '../raft/membership.ts'
import type { ForwardedReply, ForwardedRequest, ForwardProblem } from '../api/forwarder.ts'
import { decodeReply, encodeRequest, forwardFrameBytesMax } from './forward-codec.ts'
import type { FramedSocket } from './framed-socket.ts'
import { frameTypes, type Frame } from './frame.ts'
import { LifeSigns } from './life-signs.ts'
import { isElsewhere } from './member-links.ts'
import type { Answered, Dial, DialProblem } from './peer-dialer.ts'
import type { PeerEvent } from './peer-event.ts'
import { WireReader } from './wire-bytes.ts'

export interface ForwardLinkOptions {
  readonly dial: Dial
  readonly clock: Clock
  readonly onEvent: (event: PeerEvent) => void
}

const dialMsMax = 3_000
/** Requests of one connection that wait for their reply, and bytes that wait to be sent: beyond it the client is told to come again. */
const inFlightMax = 1_024
const unsentBytesMax = 128 * 1024 * 1024
/** For the requests on a connection that is being replaced because certificates changed. */
const farewellMsMax = 30_000

/** One living connection. */
interface Live {
  readonly framed: FramedSocket
  readonly version: string
  readonly signs: LifeSigns
  readonly pending: Map<number, (outcome: Outcome) => void>
  isLeaving: boolean
}

type Outcome = Result<ForwardedReply, ForwardProblem>

export class ForwardLink {
  readonly #options: ForwardLinkOptions
  #member: Member
  #dialling: Promise<Result<Live, DialProblem>> | undefined
  #live: Live | undefined
  #nextId = 1
  /** Counts the calls of `renew`: a dial that began before one is not for new requests. */
  #renewals = 0
  #isClosed = false

  constructor(member: Member, options: ForwardLinkOptions) {
    this.#member = member
    this.#options = options
  }

  async forward(request: ForwardedRequest): Promise<Outcome> {
    const startedAtMs = this.#options.clock.monotonicMs()
    const live = await this.#within(this.#connection(), request.timeoutMs)
    if (live === undefined) return notSent('the deadline passed before there was a connection')
    if (!live.ok) return notSent(live.problem.message)
    const leftMs = request.timeoutMs - (this.#options.clock.monotonicMs() - startedAtMs)
    if (leftMs <= 0) return notSent('the deadline passed before there was a connection')
    return this.#send(live.value, { ...request, timeoutMs: leftMs })
  }

  /** A life sign there and back, on this connection. */
  async ping(timeoutMs: number): Promise<Result<{ readonly seconds: number; readonly version: string }, string>> {
    const live = await this.#within(this.#connection(), timeoutMs)
    if (live === undefined) return fail(`${this.#member.raftAddress} did not answer within ${timeoutMs} ms`)
    if (!live.ok) return fail(live.problem.message)
    const { signs, version } = live.value
    const seconds = await this.#within(signs.measure(), timeoutMs)
    return seconds === undefined ? fail(`${this.#member.raftAddress} did not answer within ${timeoutMs} ms`) : ok({ seconds, version })
  }

  update(member: Member): void {
    const before = this.#member
    this.#member = member
    if (isElsewhere(before, member)) this.renew()
  }

  /** New requests go over a new connection; those under way keep theirs until they are answered. */
  renew(): void {
    const live = this.#live
    this.#live = undefined
    this.#dialling = undefined
    this.#renewals += 1
    if (live === undefined) return
    if (live.pending.size === 0) live.framed.close('renewed')
    else this.#leave(live)
  }

  /** It answers what it has been sent, and ends then. */
  #leave(live: Live): void {
    live.isLeaving = true
    const cancel = this.#options.clock.after(farewellMsMax, () => live.framed.close('renewed'))
    live.framed.socket.once('close', cancel)
  }

  close(): void {
    this.#isClosed = true
    this.#live?.framed.close('link_closed')
  }

  #connection(): Promise<Result<Live, DialProblem>> {
    if (this.#isClosed) return Promise.resolve(fail({ code: 'closing', refusal: undefined, message: 'the program ends' }))
    if (this.#live !== undefined) return Promise.resolve(ok(this.#live))
    const dialling = (this.#dialling ??= this.#dial())
    return dialling
  }

  async #dial(): Promise<Result<Live, DialProblem>> {
    const member = this.#member
    const renewals = this.#renewals
    const call = { address: member.raftAddress, purpose: 'forward', member, timeoutMs: dialMsMax } as const
    const answered = await this.#options.dial(call)
    const isWanted = !this.#isClosed && this.#renewals === renewals
    if (isWanted) this.#dialling = undefined
    if (!answered.ok) {
      this.#options.onEvent({ kind: 'dial-failed', id: member.id, purpose: 'forward', problem: answered.problem })
      return answered
    }
    const live = this.#begin(answered.value)
    if (isWanted) this.#live = live
    else if (this.#isClosed) live.framed.close('link_closed')
    else this.#leave(live)
    return ok(live)
  }

  #begin({ framed, welcome }: Answered): Live {
    const live: Live = {
      framed,
      version: welcome.version,
      signs: new LifeSigns(framed, this.#options.clock),
      pending: new Map(),
      isLeaving: false,
    }
    framed.become({
      frameBytesMax: forwardFrameBytesMax,
      onFrame: (frame) => this.#hear(live, frame),
      onClose: (why) => this.#ended(live, why),
    })
    return live
  }

  #send(live: Live, request: ForwardedRequest): Promise<Outcome> {
    if (live.framed.isClosed || live.framed.socket.destroyed) return Promise.resolve(notSent('the connection is closed'))
    if (live.pending.size >= inFlightMax || live.framed.pendingBytes > unsentBytesMax)
      return Promise.resolve(notSent('too many requests are under way'))
    const id = this.#nextId
    this.#nextId = (this.#nextId + 1) % 2 ** 32
    const parts = encodeRequest(id, request)
    if (parts === undefined) return Promise.resolve(notSent('the request is too large to be forwarded'))
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(request.timeoutMs, () => settle(unknown('no answer before the deadline')))
      const settle = (outcome: Outcome): void => {
        cancel()
        live.pending.delete(id)
        resolve(outcome)
        if (live.isLeaving && live.pending.size === 0) live.framed.close('renewed')
      }
      live.pending.set(id, settle)
      live.framed.write(frameTypes.forwardRequest, parts)
    })
  }

  #hear(live: Live, frame: Frame): void {
    if (live.signs.hears(frame)) return undefined
    if (frame.type === frameTypes.forwardNotTaken) {
      // The other side says that it has not looked at it.
      return live.pending.get(new WireReader(frame.body).u32())?.(notSent('the node takes no more requests'))
    }
    const decoded = frame.type === frameTypes.forwardReply ? decodeReply(frame.body) : undefined
    if (decoded !== undefined) return live.pending.get(decoded.id)?.(ok(decoded.reply))
    this.#options.onEvent({ kind: 'malformed', id: this.#member.id, defect: 'forward_reply' })
    return live.framed.close('malformed')
  }

  #ended(live: Live, why: string): void {
    if (this.#live === live) this.#live = undefined
    for (const settle of Array.from(live.pending.values())) settle(unknown(`the connection broke (${why})`))
    this.#options.onEvent({ kind: 'disconnected', id: this.#member.id, purpose: 'forward', direction: 'outgoing', why })
  }

  /** Undefined: not in time. */
  #within<Value>(work: Promise<Value>, timeoutMs: number): Promise<Value | undefined> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(timeoutMs, () => resolve(undefined))
      void work.then((value) => {
        cancel()
        resolve(value)
      })
    })
  }
}

function notSent(message: string): { readonly ok: false; readonly problem: ForwardProblem } {
  return fail({ code: 'forward_not_sent', message })
}

function unknown(message: string): { readonly ok: false; readonly problem: ForwardProblem } {
  return fail({ code: 'outcome_unknown', message })
}
