// For tests: replicas over the ports' twins, on a clock of the test's own. A node's "machine room" (disk, database, staging place, trust) outlives its process.
import assert from 'node:assert/strict'
import { makeEntry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { LoopEvent } from './loop-event.ts'
import { ManualClock } from './manual-clock.ts'
import { MemoryDisk, MemoryLogStore } from './memory-log-store.ts'
import { MemorySnapshotSource } from './memory-snapshot-source.ts'
import { MemorySnapshotStore, MemoryStaging, mendInstall } from './memory-snapshot-store.ts'
import { MemoryDatabase, MemoryStateMachine } from './memory-state-machine.ts'
import { MemoryNetwork } from './memory-transport.ts'
import { MemoryTrustStore } from './memory-trust-store.ts'
import type { CompactionOptions } from './replica-options.ts'
import { ReplicaLoop } from './replica.ts'
import type { Transport } from './transport.ts'

export const ids = ['n1', 'n2', 'n3'] as NodeId[]
export const tickMs = 100
export const electionTicks = 10
export const timeoutMs = 3_000
const limits = {
  appendBytesMax: 65_536,
  inflightMessagesMax: 16,
  inflightBytesMax: 1_048_576,
  uncommittedBytesMax: 1_048_576,
  commitNewsTicks: 0,
}

/** What a replica does by itself is rare enough not to happen in tests of something else. */
const seldom = { everyEntries: 1_000_000, intervalMs: 1_000, trailingEntries: 1_000_000, logBytesMax: 2 ** 40 }

/** What survives the process. */
interface MachineRoom {
  readonly disk: MemoryDisk
  readonly database: MemoryDatabase
  readonly staging: MemoryStaging
  readonly trust: MemoryTrustStore
}

export interface WorldNode extends MachineRoom {
  readonly log: MemoryLogStore
  readonly machine: MemoryStateMachine
  readonly snapshots: MemorySnapshotStore
  readonly source: MemorySnapshotSource
  readonly replica: ReplicaLoop
  /** Of this life. */
  readonly events: LoopEvent[]
}

export interface StartChanges {
  readonly bootstrap?: Membership
  readonly transport?: Transport
  /** Takes the place of parts of the node that is being started, such as a store that fails. */
  readonly parts?: (node: Omit<WorldNode, 'replica' | 'events'>) => Partial<Omit<WorldNode, 'replica' | 'events'>>
}

export interface WorldOptions {
  readonly voters?: readonly NodeId[]
  readonly compaction?: Partial<CompactionOptions>
  readonly stateHashEveryEntries?: number
}

export class World {
  readonly clock = new ManualClock()
  readonly network = new MemoryNetwork(this.clock)
  readonly nodes = new Map<NodeId, WorldNode>()
  readonly #options: WorldOptions
  readonly #bootstrap: Membership
  readonly #alive = new Set<NodeId>()
  #starts = 0

  constructor(options: WorldOptions = {}) {
    const voters = options.voters ?? ids
    this.#options = options
    this.#bootstrap = { members: voters.map((id) => ({ ...record(id), suffrage: 'voter' })) }
    for (const id of voters) this.start(id, {}, newRoom(this.#bootstrap))
  }

  start(id: NodeId, changes: StartChanges = {}, room: MachineRoom = this.nodes.get(id) ?? newRoom()): ReplicaLoop {
    const { clock, network } = this
    const { disk, database, staging, trust } = room
    mendInstall(staging, disk)
    const log = new MemoryLogStore(disk, clock)
    const machine = new MemoryStateMachine(database, clock)
    const snapshots = new MemorySnapshotStore({ machine, image: () => database.image(), staging })
    const storeOf = (other: NodeId) => (this.#alive.has(other) ? this.nodes.get(other)?.snapshots : undefined)
    const source = new MemorySnapshotSource({ id, network, clock, storeOf })
    const whole = { disk, database, staging, trust, log, machine, snapshots, source }
    const parts = { ...whole, ...changes.parts?.(whole) }
    this.#starts += 1
    const replica = new ReplicaLoop({
      id,
      log: parts.log,
      stateMachine: parts.machine,
      snapshots: parts.snapshots,
      snapshotSource: parts.source,
      trust,
      transport: changes.transport ?? network.join(id),
      clock,
      bootstrap: changes.bootstrap ?? this.#bootstrap,
      tickMs,
      electionTicks,
      heartbeatTicks: 2,
      seed: this.#starts,
      limits,
      compaction: { ...seldom, ...this.#options.compaction },
      stateHashEveryEntries: this.#options.stateHashEveryEntries ?? 1_000_000,
    })
    const events: LoopEvent[] = []
    replica.onLoopEvent((event) => events.push(event))
    this.nodes.set(id, { ...parts, replica, events })
    this.#alive.add(id)
    return replica
  }

  node(id: NodeId): WorldNode {
    const node = this.nodes.get(id)
    assert(node !== undefined)
    return node
  }

  at(id: NodeId): ReplicaLoop {
    return this.node(id).replica
  }

  commands(id: NodeId): readonly string[] {
    return this.node(id).database.commands
  }

  /** The process dies: unsynced writes are lost, its connections reset. */
  kill(id: NodeId): void {
    const node = this.node(id)
    node.log.crash()
    node.machine.crash()
    void node.replica.close()
    this.#alive.delete(id)
    this.network.leave(id)
  }

  leader(among: readonly NodeId[] = ids): NodeId {
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += tickMs) {
      const leader = this.#agreed(among)
      if (leader !== undefined) return leader
      this.clock.advance(tickMs)
    }
    throw new Error('no leader within a minute')
  }

  /** Lets the clock run until the promise has an answer. */
  async answer<Value>(promise: Promise<Value>): Promise<Value> {
    const watch = { isDone: false }
    const watched = promise.finally(() => (watch.isDone = true))
    await this.until(() => watch.isDone, { withinMs: 60_000 })
    return watched
  }

  /** Lets the clock run, and what waits for promises with it. */
  async run(ms: number): Promise<void> {
    await this.until(() => false, { withinMs: ms })
  }

  /** False: it did not come to be in time. */
  async until(condition: () => boolean, options: { readonly withinMs: number }): Promise<boolean> {
    for (let waitedMs = 0; waitedMs <= options.withinMs; waitedMs += 10) {
      this.clock.advance(waitedMs === 0 ? 0 : 10)
      for (let turn = 0; turn < 20; turn += 1) {
        await Promise.resolve()
        this.clock.settle()
      }
      if (condition()) return true
    }
    return false
  }

  write(id: NodeId, text: string) {
    return this.answer(this.at(id).propose(Buffer.from(text), { timeoutMs }))
  }

  /** So many commands, one by one, through whoever leads. */
  async writeMany(count: number, prefix = 'c'): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      const written = await this.write(this.#agreed([...this.#alive]) ?? this.leader([...this.#alive]), `${prefix}${n}`)
      assert(written.ok, JSON.stringify(written))
    }
  }

  #agreed(among: readonly NodeId[]): NodeId | undefined {
    const leaders = among.filter((id) => this.at(id).status().role === 'leader')
    const [leader] = leaders
    return leaders.length === 1 && among.every((id) => this.at(id).status().leader === leader) ? leader : undefined
  }
}

/** A founder's log begins with the membership that was agreed on. */
function newRoom(founders?: Membership): MachineRoom {
  const disk = new MemoryDisk()
  if (founders !== undefined) {
    disk.entries.push(makeEntry({ index: 1, term: 1, kind: 'membership', payload: encodeMembership(founders) }))
    disk.hardState = { term: 1, votedFor: undefined }
  }
  return { disk, database: new MemoryDatabase(), staging: new MemoryStaging(), trust: new MemoryTrustStore() }
}

/** A member but for its suffrage. */
export function record(id: NodeId) {
  return { id, incarnation: `${id}-1`, raftAddress: `${id}:4002`, apiUrl: `https://${id}:4001` }
}
