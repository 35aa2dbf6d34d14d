// One node: what outlives its process (disk, database, identity) and, while it runs, the production's replica loop over them. It can end in the middle of any call
// that the production code makes to one of its ports.
import assert from 'node:assert/strict'
import { firstEntry } from '../peer/first-entry.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Parcel } from '../raft/message.ts'
import type { LogReader, Persist, RaftStatus } from '../raft/raft-port.ts'
import type { LogStore } from '../replica/log-store.ts'
import { ReplicaLoop } from '../replica/replica.ts'
import { createLog, recoverLog, type RecoveredLog } from '../store/log-recovery.ts'
import type { LogId } from '../store/segment-format.ts'
import type { Chance } from './chance.ts'
import { DurableLog } from './durable-log.ts'
import { Life } from './life.ts'
import { VirtualTransport } from './network.ts'
import { SectorDisk, type DiskImage } from './sector-disk.ts'
import type { SimDatabase } from './sim-machine.ts'
import { must, ProcessEnded } from './violation.ts'
import { VirtualLog } from './virtual-log.ts'
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
const raftLimits = { appendBytesMax: 2048, inflightMessagesMax: 4, inflightBytesMax: 6144, uncommittedBytesMax: 32_768 }

export class SimNode {
  readonly id: NodeId
  readonly incarnation: string
  readonly disk: SectorDisk
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
    this.disk = new SectorDisk(chance.fork(1))
    this.database = options.database
    this.#logId = Uint8Array.from({ length: 16 }, () => chance.below(256))
  }

  get status(): RaftStatus | undefined {
    return this.life?.loop?.status()
  }

  /** Throws DiskRefused when the disk does not let it start. */
  start(): void {
    assert(this.life === undefined && !this.isGone, 'started while it runs')
    if (!this.#isLogMade) createLog(this.disk, this.#logId)
    // As the identity file says: only from now on is a log that is gone a damage.
    this.#isLogMade = true
    const recovered = recoverLog(this.disk, this.#logId)
    must(recovered.ok, 'restart', () => `${this.id} refuses to start: ${recovered.ok ? '' : recovered.problem.message}`)
    if (recovered.value.tornBytes > 0) this.#world.sometimes.met('torn tail cut')
    const life = this.#begin(recovered.value)
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
    this.disk.endAfter(this.#chance.below(5))
    try {
      if (this.#chance.happens(0.7)) life.log.writeWhatWaits()
    } catch (error) {
      if (!(error instanceof ProcessEnded)) throw error
      this.#world.sometimes.met('crash in the middle of a write')
    }
    this.disk.endNever()
    if (how === 'power') this.disk.losePower()
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

  #begin(recovered: RecoveredLog): Life {
    const { queue, invariants } = this.#world
    const life = new Life(this, queue, this.#options.clockRate)
    const later = (what: 'write' | 'message' | 'apply', run: () => void): void => void queue.after(this.#delayOf(what), life, run)
    const onFatal = (message: string): void => this.#world.fatal(this, message)
    const log = new VirtualLog(this.disk, { logId: this.#logId, recovered, ports: { later, onFatal } })
    const machine = this.database.open({
      later: (run) => later('apply', run),
      onStep: (index, hash) => invariants.applied(life, index, hash),
    })
    life.openStore(log, machine)
    return life
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
      compact: () => log.compact(),
      bytes: () => log.bytes(),
      close: () => log.close(),
    }
  }

  /** Called by the network before a message leaves. */
  sending(life: Life, parcel: Parcel): void {
    this.#call(life, 'send')
    this.#world.invariants.sent(life, parcel)
  }

  #delayOf(what: 'write' | 'message' | 'apply'): number {
    switch (what) {
      case 'write':
        return this.#chance.exponential(this.diskDelayMs)
      case 'message':
        return 0.05
      case 'apply':
        return this.#chance.exponential(0.3)
    }
  }
}
