// For tests: one core with a disk and a state machine around it that move only when the test says so.
import assert from 'node:assert/strict'
import { makeEntry, type Entry } from './entry.ts'
import type { Member, Membership, NodeId, Suffrage } from './membership.ts'
import { decodeMembership } from './membership-codec.ts'
import { Raft } from './raft.ts'
import type { Input, Output, RaftLimits } from './raft-port.ts'
import { VirtualDisk } from './virtual-disk.ts'

export const virtualLimits: RaftLimits = {
  appendBytesMax: 4096,
  inflightMessagesMax: 8,
  inflightBytesMax: 16_384,
  uncommittedBytesMax: 65_536,
}

export interface VirtualNodeOptions {
  readonly id: NodeId
  readonly membership: Membership
  readonly electionTicks: number
  readonly heartbeatTicks: number
  readonly seed: number
  readonly limits: RaftLimits
  /** What an earlier life left; empty when absent. */
  readonly disk?: VirtualDisk
}

export class VirtualNode {
  readonly id: NodeId
  readonly disk: VirtualDisk
  raft: Raft
  /** What the state machine has applied; it survives crashes, as SQLite's own transaction does. */
  readonly applied: Entry[] = []
  /** Given to the state machine, not yet applied. */
  toApply: Entry[] = []
  lives = 1
  readonly #options: VirtualNodeOptions
  #membership: Membership

  constructor(options: VirtualNodeOptions) {
    this.id = options.id
    this.disk = options.disk ?? new VirtualDisk()
    this.#options = options
    this.#membership = options.membership
    this.raft = this.#start()
  }

  /** Steps the core and starts the writes; messages, answers and events are the caller's. */
  step(inputs: readonly Input[]): Output {
    const output = this.raft.step(inputs)
    if (output.persist !== undefined) this.disk.write(output.persist)
    this.toApply.push(...output.committed)
    return output
  }

  /** The state machine applies up to `count` of what it was given; returns the input that tells the core. */
  apply(count: number): Input {
    const entries = this.toApply.splice(0, count)
    for (const entry of entries) {
      assert.equal(entry.index, this.applied.length + 1, 'applied without a gap, each once')
      assert.deepEqual(this.disk.durable[entry.index - 1], entry, 'what is applied is on disk')
      this.applied.push(entry)
      if (entry.kind !== 'membership') continue
      const membership = decodeMembership(entry.payload)
      assert(membership.ok)
      this.#membership = membership.value
    }
    return { kind: 'applied', index: this.applied.length }
  }

  crash(keptWrites: number): void {
    this.disk.losePower(keptWrites)
    this.toApply = []
  }

  restart(): void {
    this.lives += 1
    this.raft = this.#start()
  }

  #start(): Raft {
    const { id, electionTicks, heartbeatTicks, seed, limits } = this.#options
    return new Raft({
      id,
      hardState: this.disk.hardState,
      log: this.disk,
      membership: this.#membership,
      appliedIndex: this.applied.length,
      electionTicks,
      heartbeatTicks,
      seed: seed * 1009 + this.lives,
      limits,
    })
  }
}

/** A log with one command per term given: [1, 1, 2] has three entries. */
export function virtualLog(terms: readonly number[], from = 1): readonly Entry[] {
  return terms.map((term, position) => virtualEntry(from + position, term))
}

export function virtualEntry(index: number, term: number, text = `${index} of term ${term}`): Entry {
  return makeEntry({ index, term, kind: 'command', payload: new TextEncoder().encode(text) })
}

export function virtualMembership(voters: readonly string[], learners: readonly string[] = []): Membership {
  const members = [...voters.map((name) => virtualMember(name, 'voter')), ...learners.map((name) => virtualMember(name, 'learner'))]
  return { members: members.sort((a, b) => (a.id < b.id ? -1 : 1)) }
}

export function virtualMember(name: string, suffrage: Suffrage): Member {
  return { id: name as NodeId, incarnation: `${name}-1`, raftAddress: `${name}:4002`, apiUrl: `https://${name}:4001`, suffrage }
}
