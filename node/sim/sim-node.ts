// One node: what outlives its process (disk, database, identity) and, while it runs, the production's replica loop over them. It can end in the middle of any call
// that the production code makes to one of its ports.
import assert from 'node:assert/strict'
import { firstEntry } from '../peer/first-entry.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Parcel } from '../raft/message.ts'
import type { LogReader, Persist, RaftStatus } from '../raft/raft-port.ts'
import type { LogStore } from '../replica/log-store.ts'
import { ReplicaLoop } from '../replica/replica.ts'
import { startInlineWriter, type WriterStep } from '../store/inline-log-writer.ts'
import { createLog } from '../store/log-recovery.ts'
import { MemoryDisk, type DiskImage } from '../store/memory-disk.ts'
import type { LogId } from '../store/segment-format.ts'
import { openSegmentLogOn, type SegmentLog } from '../store/segment-log.ts'
import type { Chance } from './chance.ts'
import { DurableLog } from './durable-log.ts'
import { Life } from './life.ts'
import { VirtualTransport } from './network.ts'
import type { SimDatabase } from './sim-machine.ts'
import { must, ProcessEnded } from './violation.ts'
import type { World } from './world.ts'

export interface NodeOptions {
  readonly id: NodeId
  readonly incarnation: string
  /** Of the cluster that it forms with others; undefined: it joins one. */
  readonly founders: Membership | undefined
  readonly database: SimDatabase
  readonly clockRate: number
}

export const tickMs = 20
export const electionTicks = 10
export const heartbeatTicks = 2
const applyMsMean = 0.3
/** Small, so that a run passes from one segment to the next many times and reads from them. */
const logLimits = { segmentBytesMax: 8 * 1024, recentBytesMax: 4 * 1024 }
const raftLimits = { appendBytesMax: 2048, inflightMessagesMax: 4, inflightBytesMax: 6144, uncommittedBytesMax: 32_768 }

export class SimNode {
  readonly id: NodeId
  readonly incarnation: string
  readonly disk = new MemoryDisk()
  readonly database: SimDatabase
  readonly durable = new DurableLog()
  formerly: DurableLog | undefined
  life: Life | undefined
  /** Set when it must not come back: its disk is gone, or it refused to start. */
  isGone = false
  diskDelayMs = 1
  image: DiskImage | undefined
  readonly #world: World
  readonly #options: NodeOptions
  readonly #chance: Chance
  readonly #logId: LogId
  #isLogMade = false

  constructor(world: World, options: NodeOptions, chance: Chance) {
    this.id = options.id
    this.incarnation = options.incarnation
    this.#world = world
    this.#options = options
    this.#chance = chance
    this.database = options.database
    this.#logId = Uint8Array.from({ length: 16 }, () => chance.below(256))
  }

  get status(): RaftStatus | undefined {
    return this.life?.loop?.status()
  }

  /** Throws what the disk throws when it does not let it start. */
  start(): void {
    assert(this.life === undefined && !this.isGone, 'started while it runs')
    if (!this.#isLogMade) createLog(this.disk, this.#logId)
    // As the identity file says: only from now on is a log that is gone a damage.
    this.#isLogMade = true
    const life = this.#begin()
    this.life = life
    this.durable.recovered({ hardState: life.log.hardState, reader: life.log.reader }, this.id)
    this.#world.network.join(life)
    const { founders } = this.#options
    if (founders !== undefined && life.log.reader.lastIndex() === 0) {
      const persist = { sequence: 0, hardState: { term: 1, votedFor: undefined }, entries: [firstEntry(founders)] }
      const log = this.#watchedLog(life)
      log.onDurable(() => this.#open(life))
      log.append(persist)
    } else this.#open(life)
  }

  crash(how: 'process' | 'power'): void {
    const { life } = this
    if (life === undefined) return
    life.isAlive = false
    this.life = undefined
    if (how === 'power') this.disk.powerFailure(this.#chance.below(2 ** 30))
    this.database.crash(how)
    this.#world.network.leave(life)
  }

  /** A call to a port: the process may be meant to end here. */
  #call(life: Life, what: string): void {
    if (!life.isAlive) throw new ProcessEnded(what)
    if (life.endsAfterCalls === undefined) return
    if (life.endsAfterCalls > 0) {
      life.endsAfterCalls -= 1
      return
    }
    this.#world.sometimes.met(`crash at ${what}`)
    this.#world.crash(this, this.#chance.happens(0.5) ? 'power' : 'process')
    throw new ProcessEnded(what)
  }

  #begin(): Life {
    const { queue, invariants } = this.#world
    const life = new Life(this, queue, this.#options.clockRate)
    const machine = this.database.open({
      later: (run) => void queue.after(this.#chance.exponential(applyMsMean), life, run),
      onStep: (index, hash) => invariants.applied(life, index, hash),
    })
    life.openStore(this.#openLog(life), machine)
    return life
  }

  #openLog(life: Life): SegmentLog {
    const schedule = (step: WriterStep, turn: () => void): void => {
      this.#world.queue.after(this.#chance.exponential(step === 'sync' ? this.diskDelayMs : this.diskDelayMs / 10), life, turn)
    }
    const opened = openSegmentLogOn(this.disk, startInlineWriter(this.disk, schedule), {
      logId: this.#logId,
      onFatal: (problem) => this.#world.fatal(this, problem),
      limits: logLimits,
    })
    must(opened.ok, 'restart', () => `${this.id} refuses to start: ${opened.ok ? '' : opened.problem.message}`)
    if (opened.value.tornBytes > 0) this.#world.sometimes.met('torn tail cut')
    return opened.value
  }

  #open(life: Life): void {
    if (!life.isAlive) return
    const { machine } = life
    const loop = new ReplicaLoop({
      id: this.id,
      log: this.#watchedLog(life),
      stateMachine: machine,
      transport: new VirtualTransport(this.#world.network, life),
      clock: life.clock,
      bootstrap: this.#options.founders ?? { members: [] },
      tickMs,
      electionTicks,
      heartbeatTicks,
      seed: this.#chance.below(2 ** 30),
      limits: raftLimits,
    })
    life.loop = loop
    loop.onEvent((event) => this.#world.raftEvent(this, life, event))
  }

  /** The log as the loop sees it: the simulator counts what is promised before the loop hears of it. */
  #watchedLog(life: Life): LogStore {
    const { log } = life
    const before: LogReader = log.reader
    return {
      reader: log.reader,
      get hardState() {
        return log.hardState
      },
      append: (persist: Persist) => {
        this.#call(life, 'append')
        this.#world.invariants.wrote(life, persist, before)
        this.durable.written(persist)
        log.append(persist)
      },
      onDurable: (listener) =>
        log.onDurable((sequence) => {
          this.durable.durable(sequence)
          listener(sequence)
        }),
      compact: (to) => log.compact(to),
      bytes: () => log.bytes(),
      close: () => log.close(),
    }
  }

  /** Called by the network before a message leaves. */
  sending(life: Life, parcel: Parcel): void {
    this.#call(life, 'send')
    this.#world.invariants.sent(life, parcel)
  }
}
