// For tests: one core with a disk and a state machine around it that move only when the test says so.
import assert from 'node:assert/strict'
import { makeEntry, type Entry } from './entry.ts'
import type { Member, Membership, NodeId, Suffrage } from './membership.ts'
import { decodeMembership } from './membership-codec.ts'
import { Raft } from './raft.ts'
import type { Input, Output, RaftLimits, SnapshotPoint, Trust } from './raft-port.ts'
import { VirtualDisk } from './virtual-disk.ts'

export const virtualLimits: RaftLimits = {
  appendBytesMax: 4096,
  inflightMessagesMax: 8,
  inflightBytesMax: 16_384,
  commitNewsTicks: 0,
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
  readonly trust?: Trust
  readonly leaseTicks?: number
}

/** A copy of a state machine, which is the list of what it has applied. */
export interface VirtualSnapshot {
  readonly point: SnapshotPoint
  readonly applied: readonly Entry[]
}

/** What a disk held at some time. */
export interface VirtualImage {
  readonly disk: ReturnType<VirtualDisk['image']>
  readonly applied: readonly Entry[]
  readonly membership: Membership
}

export class VirtualNode {
  readonly id: NodeId
  readonly disk: VirtualDisk
  raft: Raft
  /** What the state machine has applied; it survives crashes, as SQLite's own transaction does. */
  applied: Entry[] = []
  /** Given to the state machine, not yet applied. */
  toApply: Entry[] = []
  /** Received and offered to the core. */
  staged: VirtualSnapshot | undefined
  trust: Trust
  /** Its state machine has been found to be wrong and waits for a snapshot; remembered over restarts. */
  isStateLost = false
  lives = 1
  /** Counts the states that were lost: what was being applied then is applied no more. */
  applyings = 0
  readonly #options: VirtualNodeOptions
  #membership: Membership

  constructor(options: VirtualNodeOptions) {
    this.id = options.id
    this.disk = options.disk ?? new VirtualDisk()
    this.#options = options
    this.#membership = options.membership
    this.trust = options.trust ?? 'trusted'
    this.raft = this.#start()
  }

  /** Steps the core and starts the writes; messages, answers and events are the caller's. */
  step(inputs: readonly Input[]): Output {
    const output = this.raft.step(inputs)
    if (output.install !== undefined) this.#install(output.install)
    if (output.persist !== undefined) this.disk.write(output.persist)
    for (const event of output.events) if (event.kind === 'trust-changed') this.trust = event.trust
    this.toApply.push(...output.committed)
    return output
  }

  takeSnapshot(): VirtualSnapshot {
    const last = this.applied.at(-1)
    return { point: { index: last?.index ?? 0, term: last?.term ?? 0, membership: this.#membership }, applied: [...this.applied] }
  }

  loseState(): Input {
    this.isStateLost = true
    this.toApply = []
    return { kind: 'state-lost' }
  }

  image(): VirtualImage {
    return { disk: this.disk.image(), applied: [...this.applied], membership: this.#membership }
  }

  /** After a crash: the disk is put back in time, and found out to be at the start. */
  putBack(image: VirtualImage): void {
    this.disk.restore(image.disk)
    this.applied = [...image.applied]
    this.#membership = image.membership
    this.trust = 'untrusted'
  }

  /** After a crash: what stood after `index` is gone from log and state machine. */
  loseAfter(index: number, trust: Trust): void {
    this.disk.cut(index)
    this.applied.length = Math.min(this.applied.length, index)
    this.trust = trust
  }

  /** A snapshot has been received; returns the input that tells the core. */
  stage(snapshot: VirtualSnapshot): Input {
    this.staged = snapshot
    return { kind: 'snapshot-staged', point: snapshot.point }
  }

  /** The state machine applies up to `count` of what it was given; returns the input that tells the core. */
  apply(count: number): Input {
    const entries = this.toApply.splice(0, count)
    for (const entry of entries) {
      assert.equal(entry.index, this.applied.length + 1, 'applied without a gap, each once')
      assert.deepEqual(this.disk.durableAt(entry.index), entry, 'what is applied is on disk')
      this.applied.push(entry)
      if (entry.kind !== 'membership') continue
      const membership = decodeMembership(entry.payload)
      assert(membership.ok)
      if ((membership.value.epoch ?? 0) >= (this.#membership.epoch ?? 0)) this.#membership = membership.value
    }
    return { kind: 'applied', index: this.applied.length }
  }

  crash(keptWrites: number): void {
    this.disk.losePower(keptWrites)
    this.toApply = []
  }

  restart(): void {
    this.lives += 1
    // A crash between the installation of a snapshot and the new beginning of the log is mended at the start.
    const last = this.applied.at(-1)
    if (last !== undefined && (this.disk.lastIndex() < last.index || this.disk.termAt(last.index) !== last.term))
      this.disk.begin({ index: last.index, term: last.term })
    this.raft = this.#start()
  }

  #install(point: SnapshotPoint): void {
    assert(this.staged !== undefined && this.staged.point === point, 'what is installed has been received')
    this.applied = [...this.staged.applied]
    this.#membership = point.membership
    this.toApply = []
    this.isStateLost = false
    this.staged = undefined
  }

  #start(): Raft {
    const { id, electionTicks, heartbeatTicks, leaseTicks, seed, limits } = this.#options
    return new Raft({
      id,
      hardState: this.disk.hardState,
      log: this.disk,
      membership: this.#membership,
      appliedIndex: this.applied.length,
      electionTicks,
      heartbeatTicks,
      ...(leaseTicks === undefined ? {} : { leaseTicks }),
      trust: this.trust,
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
