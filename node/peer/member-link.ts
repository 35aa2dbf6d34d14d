// The one connection on which this node sends messages to one member. It is kept open; when it breaks, it is dialled again with jittered back-off. Nothing is kept for
// a member that cannot be reached: Raft repeats itself, and what is old only delays what is new.
import { jitteredBackOffMs, type BackOff } from '../../runtime/back-off.ts'
import type { Clock } from '../replica/clock.ts'
import type { Member } from '../raft/membership.ts'
import type { Message } from '../raft/message.ts'
import type { FramedSocket } from './framed-socket.ts'
import { frameTypes } from './frame.ts'
import { LifeSigns } from './life-signs.ts'
import { isElsewhere } from './member-links.ts'
import { encodeMessage } from './message-codec.ts'
import type { Dial } from './peer-dialer.ts'
import type { PeerEvent } from './peer-event.ts'

export interface MemberLinkOptions {
  readonly dial: Dial
  readonly clock: Clock
  /** From 0 up to 1. */
  readonly random: () => number
  readonly onEvent: (event: PeerEvent) => void
  readonly onUnreachable: () => void
}

/** More than one full append and what the socket's buffers hold: a member that takes less than this has stopped reading. */
export const pendingBytesMax = 32 * 1024 * 1024
/** While the first connection is being made: enough for an election's requests, too little to matter when they are late. */
const backlogMax = 64
const dialMsMax = 3_000
/** All that comes back on this connection: pongs, and at most one goodbye. */
const pongFrameBytes = 5
export const redialBackOff: BackOff = { firstMs: 50, maxMs: 1_000 }

type LinkState =
  | { readonly kind: 'waiting'; readonly cancel: () => void }
  | { readonly kind: 'dialling'; readonly backlog: Message[] }
  | { readonly kind: 'ready'; readonly framed: FramedSocket }
  | { readonly kind: 'closed' }

export class MemberLink {
  readonly #options: MemberLinkOptions
  #member: Member
  #state: LinkState = { kind: 'closed' }
  #failures = 0

  constructor(member: Member, options: MemberLinkOptions) {
    this.#member = member
    this.#options = options
    this.#dial()
  }

  send(message: Message): void {
    const state = this.#state
    if (state.kind === 'ready' && state.framed.pendingBytes <= pendingBytesMax) return this.#write(state.framed, message)
    if (state.kind === 'dialling' && state.backlog.length < backlogMax) return void state.backlog.push(message)
    this.#options.onEvent({ kind: 'message-dropped', id: this.#member.id })
  }

  /** The member as the newest membership has it. */
  update(member: Member): void {
    const before = this.#member
    this.#member = member
    if (isElsewhere(before, member)) this.renew()
  }

  /** Dials anew with what is in force now (certificates, address). Not the member's fault, so it is not reported as unreachable; and it is told that it is not ours. */
  renew(): void {
    if (this.#state.kind === 'closed') return
    this.#leave((framed) => sayGoodbye(framed, 'renewed'))
    this.#failures = 0
    this.#dial()
  }

  /** The member has just dialled this node, so it is there: a long pause is cut short, not skipped, or two that end each other's connections would do nothing else. */
  hurry(): void {
    if (this.#state.kind !== 'waiting' || this.#failures <= 1) return
    this.#state.cancel()
    this.#failures = 0
    this.#wait()
  }

  close(): void {
    this.#leave((framed) => framed.close('link_closed'))
  }

  /** Ends the present state; what still arrives from it is ignored, because it is no longer the present one. */
  #leave(end: (framed: FramedSocket) => void): void {
    const state = this.#state
    this.#state = { kind: 'closed' }
    if (state.kind === 'waiting') state.cancel()
    if (state.kind === 'ready') end(state.framed)
  }

  #dial(): void {
    const state: LinkState = { kind: 'dialling', backlog: [] }
    this.#state = state
    const call = { address: this.#member.raftAddress, purpose: 'raft', member: this.#member, timeoutMs: dialMsMax } as const
    void this.#options.dial(call).then((answered) => {
      if (this.#state !== state) return answered.ok ? answered.value.framed.close('link_closed') : undefined
      if (answered.ok) return this.#ready(answered.value.framed, state.backlog)
      this.#options.onEvent({ kind: 'dial-failed', id: this.#member.id, purpose: 'raft', problem: answered.problem })
      return this.#failed()
    })
  }

  #ready(framed: FramedSocket, backlog: readonly Message[]): void {
    const state: LinkState = { kind: 'ready', framed }
    this.#state = state
    framed.become({
      frameBytesMax: pongFrameBytes,
      onFrame: (frame) => {
        if (frame.type === frameTypes.goodbye) return this.#goodbye(state)
        // Some servers close at once: only a connection that has carried an answer counts as a success.
        this.#failures = 0
        return signs.hears(frame) ? undefined : framed.close('spoke_out_of_turn')
      },
      onClose: (why) => {
        this.#options.onEvent({ kind: 'disconnected', id: this.#member.id, purpose: 'raft', direction: 'outgoing', why })
        if (this.#state === state) this.#failed()
      },
    })
    if (framed.isClosed) return this.#failed()
    const signs = new LifeSigns(framed, this.#options.clock)
    this.#options.onEvent({ kind: 'connected', id: this.#member.id, purpose: 'raft', direction: 'outgoing' })
    for (const message of backlog) this.#write(framed, message)
  }

  /** The other side ends this connection and lives: it wants to be dialled anew, but not without pause, or two nodes that disagree would do nothing else. */
  #goodbye(state: LinkState): void {
    if (this.#state !== state) return
    this.#leave((framed) => framed.close('goodbye'))
    this.#wait()
  }

  #failed(): void {
    this.#wait()
    this.#options.onUnreachable()
  }

  #wait(): void {
    const { clock, random } = this.#options
    this.#failures += 1
    const cancel = clock.after(jitteredBackOffMs(redialBackOff, this.#failures, random), () => this.#dial())
    this.#state = { kind: 'waiting', cancel }
  }

  #write(framed: FramedSocket, message: Message): void {
    framed.write(frameTypes.message, encodeMessage(message))
  }
}

/** The end that follows says nothing of this node's health. */
export function sayGoodbye(framed: FramedSocket, why: string): void {
  framed.write(frameTypes.goodbye, [])
  framed.end(why)
}
