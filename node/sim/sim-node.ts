// One node: what outlives its process (disk, database, identity) and, while it runs, the production's replica loop over them. It can end in the middle of any call
// that the production code makes to one of its ports.
import assert from 'node:assert/strict'
import { firstEntry } from '../peer/first-entry.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Parcel } from '../raft/message.ts'
import type { LogBase, Persist, RaftStatus, Trust } from '../raft/raft-port.ts'
import type { LogStore } from '../replica/log-store.ts'
import { MemoryTrustStore } from '../replica/memory-trust-store.ts'
import { ReplicaLoop } from '../replica/replica.ts'
import type { CompactionOptions } from '../replica/replica-options.ts'
import type { LogStart } from '../log/log-recovery.ts'
import { MemoryDisk, type DiskImage } from '../log/memory-disk.ts'
import { randomBytesFrom, type Chance } from './chance.ts'
import { DurableLog, eitherOf, type Holder } from './durable-log.ts'
import { Introducer } from './introduction.ts'
import { Life } from './life.ts'
import { VirtualTransport } from './network.ts'
import { openNodeLog } from './node-log.ts'
import type { SimDatabase } from './sim-machine.ts'
import { ProcessEnded } from './violation.ts'
import { Staging, VirtualSnapshotSource, VirtualSnapshotStore } from './virtual-snapshots.ts'
import type { World } from './world.ts'

export interface NodeOptions {
  readonly id: NodeId
  readonly incarnation: string
  /** Of the cluster that it forms with others, or that it joins. */
  readonly members: Membership
  readonly origin: 'formed' | 'joined'
  readonly database: SimDatabase
  readonly clockRate: number
  readonly compaction: CompactionOptions
  readonly stateHashEveryEntries: number
}

export interface Volume {
  readonly atMs: number
  readonly disk: DiskImage
  readonly database: unknown
  readonly durable: DurableLog
  readonly starts: number
  readonly trust: Trust
  readonly logId: Uint8Array
}

export const tickMs = 20
export const electionTicks = 10
export const heartbeatTicks = 2
const applyMsMean = 0.3
const raftLimits = { appendBytesMax: 2048, inflightMessagesMax: 4, inflightBytesMax: 6144, uncommittedBytesMax: 32_768, commitNewsTicks: 1 }

export class SimNode {
  readonly id: NodeId
  readonly incarnation: string
  readonly disk = new MemoryDisk()
  readonly database: SimDatabase
  readonly staging = new Staging()
  readonly trust = new MemoryTrustStore()
  logId: Uint8Array
  /** What the log begins with when it is made. */
  logStart: LogStart | undefined
  durable = new DurableLog()
  /** What it held before its disk was damaged or put back, until it is believed again. */
  formerly: Holder | undefined
  life: Life | undefined
  /** Set when it must not come back: its disk is gone, or it refused to start. */
  isGone = false
  /** Its disk will refuse something. */
  isDoomed = false
  /** Its state machine has come to differ, and no snapshot has replaced it since. */
  isDiverged = false
  diskDelayMs = 1
  isLogMade = false
  /** Counts the starts, on the disk. */
  starts = 0
  startedAtMs = 0
  readonly #world: World
  readonly #options: NodeOptions
  readonly #chance: Chance

  constructor(world: World, options: NodeOptions, chance: Chance) {
    this.id = options.id
    this.incarnation = options.incarnation
    this.#world = world
    this.#options = options
    this.#chance = chance
    this.database = options.database
    this.logId = randomBytesFrom(chance, 16)
  }

  get status(): RaftStatus | undefined {
    return this.life?.loop?.status()
  }

  /** Nothing is wrong with its disk, and nothing will be. */
  get isSound(): boolean {
    return !this.isGone && !this.isDoomed && !this.isDiverged && this.formerly === undefined && this.trust.trust === 'trusted'
  }

  /** Throws what the disk throws when it does not let it start. */
  start(): void {
    assert(this.life === undefined && !this.isGone, 'started while it runs')
    this.starts += 1
    this.startedAtMs = this.#world.queue.nowMs
    const life = this.#begin()
    const opened = openNodeLog(this, { world: this.#world, life, chance: this.#chance })
    if (opened === 'must be replaced') return this.#world.lost(this)
    life.openStore(opened.log, this.#openMachine(life))
    this.life = life
    this.#world.network.join(life)
    const persist = this.#firstWrite(life, opened.reset)
    if (persist === undefined) return this.#open(life)
    const log = this.#watchedLog(life)
    log.onDurable(() => this.#open(life))
    log.append(persist)
  }

  crash(how: 'process' | 'power'): void {
    const { life } = this
    if (life !== undefined) life.isAlive = false
    this.life = undefined
    if (how === 'power') {
      this.disk.powerFailure(this.#chance.below(2 ** 30))
      this.staging.losePower(this.#chance)
    }
    this.database.crash(how)
    if (life !== undefined) this.#world.network.leave(life)
  }

  /** Durably noted: the log is to be made again. */
  renewLog(start: LogStart): void {
    this.logId = randomBytesFrom(this.#chance, 16)
    this.logStart = start
    this.isLogMade = false
  }

  /** Everything that is on its volume, for `putBack`. */
  volume(): Volume {
    return {
      atMs: this.#world.queue.nowMs,
      disk: this.disk.image(),
      database: this.database.image(),
      durable: this.durable.copy(),
      starts: this.starts,
      trust: this.trust.trust,
      logId: this.logId,
    }
  }

  /** While it is down. */
  putBack(volume: Volume): void {
    this.formerly = eitherOf(this.durable, this.formerly)
    this.durable = volume.durable.copy()
    this.disk.restore(volume.disk)
    this.database.putBack(volume.database)
    this.staging.forget()
    this.starts = volume.starts
    this.logId = volume.logId
    this.trust.setTrust(volume.trust)
  }

  /** Called by the network before a message leaves. */
  sending(life: Life, parcel: Parcel): void {
    this.#call(life, 'send')
    this.#world.invariants.sent(life, parcel)
  }

  /** A call to a port: the process may be meant to end here. */
  #call(life: Life, what: string): void {
    if (!life.isAlive) throw new ProcessEnded(what)
    const isEnd = what.startsWith('install') && life.endsInInstall === 0
    if (what.startsWith('install') && life.endsInInstall !== undefined) life.endsInInstall -= 1
    if (life.endsAfterCalls !== undefined) life.endsAfterCalls -= 1
    if (!isEnd && life.endsAfterCalls !== -1) return
    this.#world.sometimes.met(`crash at ${what}`)
    this.#world.end(this, this.#chance.happens(0.5) ? 'power' : 'process')
    throw new ProcessEnded(what)
  }

  /** What has to be on the disk before the replica reads its log, as in the node's own program. */
  #firstWrite(life: Life, reset: LogBase | undefined): Persist | undefined {
    if (reset !== undefined) return { sequence: 0, hardState: undefined, entries: [], reset }
    if (this.#options.origin === 'joined' || life.reader.lastIndex() > 0) return undefined
    return { sequence: 0, hardState: { term: 1, votedFor: undefined }, entries: [firstEntry(this.#options.members)] }
  }

  #begin(): Life {
    const number = this.starts
    const introducer = new Introducer({
      ...this.#options,
      clusterId: 'cluster',
      chance: this.#chance,
      disk: () => ({ number, term: this.durable.hardState.term, isUntrusted: this.trust.trust === 'untrusted' }),
    })
    return new Life(this, introducer, { queue: this.#world.queue, clockRate: this.#options.clockRate })
  }

  #openMachine(life: Life): ReturnType<SimDatabase['open']> {
    const { queue, invariants } = this.#world
    return this.database.open({
      later: (run) => void queue.after(this.#chance.exponential(applyMsMean), life, run),
      onStep: (index, hash) => invariants.applied(life, index, hash),
      onReplaced: (index, hash) => invariants.installed(life, index, hash),
    })
  }

  #open(life: Life): void {
    if (!life.isAlive) return
    const { network, queue, sometimes, nodes } = this.#world
    const snapshotPorts = {
      life,
      database: this.database,
      staging: this.staging,
      queue,
      sometimes,
      onCall: (what: string) => this.#call(life, what),
    }
    const snapshots = new VirtualSnapshotStore(snapshotPorts)
    life.snapshots = snapshots
    const lifeOf = (id: NodeId): Life | undefined => nodes.find((node) => node.id === id && node.life !== undefined)?.life
    const loop = new ReplicaLoop({
      id: this.id,
      log: this.#watchedLog(life),
      stateMachine: life.machine,
      snapshots,
      snapshotSource: new VirtualSnapshotSource(snapshotPorts, { network, chance: this.#chance, lifeOf }),
      trust: this.trust,
      transport: new VirtualTransport(network, life),
      clock: life.clock,
      bootstrap: this.#options.origin === 'formed' ? this.#options.members : { members: [] },
      tickMs,
      electionTicks,
      heartbeatTicks,
      seed: this.#chance.below(2 ** 30),
      limits: raftLimits,
      compaction: this.#options.compaction,
      stateHashEveryEntries: this.#options.stateHashEveryEntries,
    })
    life.loop = loop
    loop.onEvent((event) => this.#world.raftEvent(this, life, event))
    loop.onLoopEvent((event) => this.#world.loopEvent(this, event))
  }

  /** The log as the loop sees it: the simulator counts what is promised before the loop hears of it. */
  #watchedLog(life: Life): LogStore {
    const { log } = life
    const { invariants } = this.#world
    return {
      reader: log.reader,
      get hardState() {
        return log.hardState
      },
      append: (persist: Persist) => {
        this.#call(life, 'append')
        if (persist.reset !== undefined) invariants.gaveUp(life, persist.reset.index, this.database.durableIndex)
        invariants.wrote(life, persist, log.reader)
        this.durable.written(persist)
        log.append(persist)
      },
      onDurable: (listener) =>
        log.onDurable((sequence) => {
          this.durable.durable(sequence)
          listener(sequence)
        }),
      compact: (to) => {
        this.#call(life, 'compact')
        invariants.gaveUp(life, to.index, this.database.durableIndex)
        log.compact(to)
      },
      bytes: () => log.bytes(),
      close: () => log.close(),
    }
  }
}
