// For tests: one core, alone, with everything around it played by the test. Its disk and state machine keep up at once, unless the test holds them.
import assert from 'node:assert/strict'
import type { Membership, NodeId } from './membership.ts'
import type { Message, Parcel } from './message.ts'
import type { HardState, Input, Output, RaftEvent, RaftLimits, RaftStatus, Trust } from './raft-port.ts'
import { append, appendReply } from './rig-messages.ts'
import { VirtualDisk } from './virtual-disk.ts'
import { virtualLimits, virtualLog, virtualMembership, VirtualNode } from './virtual-node.ts'

export interface RigOptions {
  readonly voters?: readonly string[]
  readonly learners?: readonly string[]
  /** Terms of the entries on disk at the start. */
  readonly log?: readonly number[]
  readonly hardState?: HardState
  readonly limits?: RaftLimits
  readonly seed?: number
  /** In place of `voters` and `learners`. */
  readonly membership?: Membership
  readonly trust?: Trust
  readonly leaseTicks?: number
}

export const rigElectionTicks = 10
export const rigHeartbeatTicks = 2

/** The core under test is always n1. */
export class Rig {
  readonly node: VirtualNode
  readonly sent: Parcel[] = []
  readonly events: RaftEvent[] = []
  readonly reads: { readonly id: number; readonly index: number }[] = []
  readonly refused: { readonly id: number; readonly code: string }[] = []
  readonly proposed: { readonly id: number; readonly index: number; readonly term: number }[] = []
  #holdsDisk = false
  #holdsApply = false

  constructor(options: RigOptions = {}) {
    const disk = new VirtualDisk()
    const terms = options.log ?? []
    const hardState = options.hardState ?? { term: terms.at(-1) ?? 0, votedFor: undefined }
    disk.write({ sequence: 0, hardState, entries: virtualLog(terms) })
    disk.sync(0)
    this.node = new VirtualNode({
      id: 'n1' as NodeId,
      membership: options.membership ?? virtualMembership(options.voters ?? ['n1', 'n2', 'n3'], options.learners),
      electionTicks: rigElectionTicks,
      heartbeatTicks: rigHeartbeatTicks,
      seed: options.seed ?? 1,
      limits: options.limits ?? virtualLimits,
      disk,
      ...(options.trust === undefined ? {} : { trust: options.trust }),
      ...(options.leaseTicks === undefined ? {} : { leaseTicks: options.leaseTicks }),
    })
  }

  get status(): RaftStatus {
    return this.node.raft.status()
  }

  /** Writes stay under way until syncDisk(). */
  holdDisk(): void {
    this.#holdsDisk = true
  }

  /** What is under way reaches the disk, the first `count` writes of it. */
  syncDisk(count = Infinity): void {
    const sequence = this.node.disk.pendingSequences.slice(0, count).at(-1)
    assert(sequence !== undefined, 'nothing is being written')
    this.node.disk.sync(sequence)
    this.give({ kind: 'durable', sequence })
  }

  holdApply(): void {
    this.#holdsApply = true
  }

  give(...inputs: readonly Input[]): Output {
    const output = this.#step(inputs)
    for (let next = this.#followUp(); next !== undefined; next = this.#followUp()) this.#step([next])
    return output
  }

  /** Gives a message and returns what the core sent since, in answer or otherwise. */
  receive(from: string, message: Message): readonly Parcel[] {
    this.sent.length = 0
    this.give({ kind: 'message', from: from as NodeId, message })
    return this.take()
  }

  ticks(count: number): readonly Parcel[] {
    this.sent.length = 0
    for (let tick = 0; tick < count; tick += 1) this.give({ kind: 'tick' })
    return this.take()
  }

  take(): readonly Parcel[] {
    return this.sent.splice(0)
  }

  propose(text: string, id = 0): Output {
    return this.give({ kind: 'propose', id, payload: new TextEncoder().encode(text) })
  }

  follow(leader: string, term: number): this {
    const { lastIndex, lastTerm } = this.status
    this.receive(leader, append({ term, prevLogIndex: lastIndex, prevLogTerm: lastTerm }))
    return this
  }

  /** Lets its election timer run out and answers its pre-vote. */
  stand(): this {
    for (let tick = 0; tick < 2 * rigElectionTicks && this.status.role !== 'pre-candidate' && this.status.role !== 'candidate'; tick += 1)
      this.give({ kind: 'tick' })
    this.#answerAll({ kind: 'pre-vote-reply', term: this.status.term + 1, granted: true }, 'pre-candidate')
    return this
  }

  lead(): this {
    this.stand()
    this.#answerAll({ kind: 'vote-reply', term: this.status.term, granted: true }, 'candidate')
    assert.equal(this.status.role, 'leader')
    return this
  }

  /** Leads, and its first entry is committed. */
  leadFirmly(): this {
    return this.leadFirmlyWithout()
  }

  /** The same, but the named ones have not answered. */
  leadFirmlyWithout(...silent: readonly string[]): this {
    this.lead()
    for (const { id } of this.status.followers) if (!silent.includes(id)) this.accepted(id, this.status.lastIndex)
    this.take()
    return this
  }

  accepted(from: string, matchIndex: number, readSequence = 0): readonly Parcel[] {
    return this.receive(from, appendReply({ term: this.status.term, matchIndex, readSequence }))
  }

  #answerAll(message: Message, during: RaftStatus['role']): void {
    for (const { id, suffrage } of this.status.membership.members) {
      if (id !== 'n1' && suffrage === 'voter' && this.status.role === during) this.give({ kind: 'message', from: id, message })
    }
  }

  #step(inputs: readonly Input[]): Output {
    const output = this.node.step(inputs)
    this.sent.push(...output.send)
    this.events.push(...output.events)
    this.reads.push(...output.reads)
    this.refused.push(...output.refused)
    this.proposed.push(...output.proposed)
    return output
  }

  #followUp(): Input | undefined {
    const sequence = this.node.disk.pendingSequences.at(-1)
    if (!this.#holdsDisk && sequence !== undefined) {
      this.node.disk.sync(sequence)
      return { kind: 'durable', sequence }
    }
    return this.#holdsApply || this.node.toApply.length === 0 ? undefined : this.node.apply(this.node.toApply.length)
  }
}

/** "n2 vote 5": short enough to compare lists of. */
export function summary(parcels: readonly Parcel[]): readonly string[] {
  return parcels.map(
    ({ to, message }) => `${to} ${message.kind} ${message.term}${'granted' in message ? (message.granted ? ' granted' : ' refused') : ''}`,
  )
}
