// One run of a node's process, from its start to its end, however it ends.
import assert from 'node:assert/strict'
import type { NodeId } from '../raft/membership.ts'
import type { LogReader, RaftStatus } from '../raft/raft-port.ts'
import type { ReplicaLoop } from '../replica/replica.ts'
import type { SnapshotStore } from '../replica/snapshot-store.ts'
import type { TransportListener } from '../replica/transport.ts'
import type { SegmentLog } from '../log/segment-log.ts'
import type { DurableLog, Holder } from './durable-log.ts'
import type { EventOwner, EventQueue } from './event-queue.ts'
import type { Introducer } from './introduction.ts'
import type { Watched } from './invariants.ts'
import type { Endpoint } from './network.ts'
import type { SimMachine } from './sim-machine.ts'
import { VirtualClock } from './virtual-clock.ts'

/** What outlives it. */
export interface Body {
  readonly id: NodeId
  readonly incarnation: string
  readonly durable: DurableLog
  readonly formerly: Holder | undefined
}

export class Life implements EventOwner, Watched, Endpoint {
  readonly #body: Body
  readonly clock: VirtualClock
  isAlive = true
  stoppedUntilMs = 0
  listener: TransportListener | undefined
  readonly introducer: Introducer
  snapshots: SnapshotStore | undefined
  committedWhenAsked: number | undefined
  lastCommit = 0
  lastTerm = 0
  #log: SegmentLog | undefined
  #machine: SimMachine | undefined
  /** Undefined until the first entry of a new cluster is on its disk. */
  loop: ReplicaLoop | undefined
  /** By file: what was on the disk before this life's first frame, which proves that it had been synced. */
  provenBytes: ReadonlyMap<string, number> = new Map()
  /** The process ends when it has made so many more calls to its ports. */
  endsAfterCalls: number | undefined
  /** The same, of the steps of installing snapshots alone. */
  endsInInstall: number | undefined

  constructor(body: Body, introducer: Introducer, options: { readonly queue: EventQueue; readonly clockRate: number }) {
    this.#body = body
    this.introducer = introducer
    this.clock = new VirtualClock(options.queue, this, options.clockRate)
  }

  openStore(log: SegmentLog, machine: SimMachine): void {
    this.#log = log
    this.#machine = machine
  }

  get id(): NodeId {
    return this.#body.id
  }

  get incarnation(): string {
    return this.#body.incarnation
  }

  get durable(): DurableLog {
    return this.#body.durable
  }

  get formerly(): Holder | undefined {
    return this.#body.formerly
  }

  get log(): SegmentLog {
    assert(this.#log !== undefined)
    return this.#log
  }

  get machine(): SimMachine {
    assert(this.#machine !== undefined)
    return this.#machine
  }

  get reader(): LogReader {
    return this.log.reader
  }

  get status(): RaftStatus {
    assert(this.loop !== undefined)
    return this.loop.status()
  }
}
