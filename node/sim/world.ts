// One run: nodes, network, clients and faults on one event queue. Everything that happens here is decided by the seed.
import type { Membership, NodeId } from '../raft/membership.ts'
import type { RaftEvent } from '../raft/raft-port.ts'
import type { LoopEvent } from '../replica/loop-event.ts'
import type { CompactionOptions } from '../replica/replica-options.ts'
import type { FatalProblem } from '../store/fatal.ts'
import { PowerLost } from '../log/power-lost.ts'
import { Chance } from './chance.ts'
import { EventQueue } from './event-queue.ts'
import { Invariants } from './invariants.ts'
import { Life } from './life.ts'
import { ModelDatabase } from './model-machine.ts'
import { VirtualNetwork, type Endpoint } from './network.ts'
import type { WriteOperation } from './operation.ts'
import type { SimDatabase } from './sim-machine.ts'
import { SimNode, type NodeOptions } from './sim-node.ts'
import { Sometimes } from './sometimes.ts'
import type { Trace } from './trace.ts'
import { ProcessEnded } from './violation.ts'

export interface WorldOptions {
  readonly seed: number
  readonly founders: number
  /** Clocks run up to this share fast or slow. */
  readonly clockDrift: number
  readonly usesBytes: boolean
  readonly compaction: CompactionOptions
  readonly stateHashEveryEntries: number
  readonly makeDatabase?: (chance: Chance) => SimDatabase
}

/** Promises that an event resolves run before the next event, chains of them up to this length; longer ones go on after it. */
const microtasksPerEvent = 6

export class World {
  readonly queue: EventQueue
  readonly network: VirtualNetwork
  readonly invariants: Invariants
  readonly sometimes = new Sometimes()
  readonly trace: Trace
  readonly nodes: SimNode[] = []
  readonly founders: Membership
  /** By register: what a client read last; a good guess for a compare-and-set. */
  readonly lastSeen = new Map<number, number>()
  readonly #chance: Chance
  readonly #options: WorldOptions
  readonly #first: SimDatabase
  #broken: { readonly error: unknown } | undefined
  #lastNode = 0
  #watched: { readonly node: SimNode; readonly untilMs: number } | undefined

  constructor(options: WorldOptions, trace: Trace) {
    this.#options = options
    this.trace = trace
    this.#chance = new Chance(options.seed)
    const lots = this.#chance.fork(1)
    this.queue = new EventQueue((limit) => lots.below(limit))
    this.network = new VirtualNetwork(
      {
        queue: this.queue,
        chance: this.#chance.fork(2),
        sometimes: this.sometimes,
        trace,
        onSend: (from, parcel) => this.#node(from)?.sending(from as Life, parcel), // endpoints are lives
      },
      options,
    )
    this.invariants = new Invariants({
      sometimes: this.sometimes,
      nodes: (id, incarnation) => this.nodes.find((node) => node.id === id && node.incarnation === incarnation),
    })
    this.founders = { members: Array.from({ length: options.founders }, (_, at) => memberOf(nameOf(at + 1), 'voter')) }
    for (let count = 0; count < options.founders; count += 1) this.addNode({ isFounder: true })
    this.#first = this.nodes[0]?.database ?? new ModelDatabase(this.#chance)
    for (const node of this.nodes) this.start(node)
  }

  /** Something went wrong outside an event: the run ends with it. */
  readonly broke = (error: unknown): void => {
    if (!(error instanceof ProcessEnded)) this.#broken ??= { error }
  }

  addNode(how: { readonly isFounder: boolean }): SimNode {
    this.#lastNode += 1
    const id = nameOf(this.#lastNode)
    const members = how.isFounder ? this.founders : (this.invariants.membership ?? this.founders)
    return this.#add({ id, incarnation: incarnationOf(id), members, origin: how.isFounder ? 'formed' : 'joined' })
  }

  /** Another node under the name of one that is gone. */
  addImpostor({ id, incarnation }: SimNode): void {
    this.#lastNode += 1
    const node = this.#add({ id, incarnation: `${incarnation}-again`, members: this.founders, origin: 'formed' })
    this.restart(node, 100)
  }

  #add(who: Pick<NodeOptions, 'id' | 'incarnation' | 'members' | 'origin'>): SimNode {
    const chance = this.#chance.fork(100 + this.#lastNode)
    const clockRate = 1 + chance.between(-this.#options.clockDrift, this.#options.clockDrift)
    const database = this.#options.makeDatabase?.(chance) ?? new ModelDatabase(chance.fork(3))
    const { compaction, stateHashEveryEntries } = this.#options
    const node = new SimNode(this, { ...who, database, clockRate, compaction, stateHashEveryEntries }, chance)
    this.nodes.push(node)
    return node
  }

  encode(operation: WriteOperation): Uint8Array {
    return this.#first.encode(operation)
  }

  /** The leader of the newest term, by what the nodes say of themselves. */
  get leader(): SimNode | undefined {
    const leaders = this.nodes.filter((node) => node.status?.role === 'leader')
    return leaders.toSorted((a, b) => (b.status?.term ?? 0) - (a.status?.term ?? 0))[0]
  }

  start(node: SimNode): void {
    if (node.life !== undefined || node.isGone) return
    try {
      node.start()
      this.trace.note(this.queue.nowMs, node.id, 'starts')
    } catch (error) {
      if (!isOfDisk(error)) throw error
      this.sometimes.met('start refused by the disk')
      this.trace.note(this.queue.nowMs, node.id, `cannot start: ${error.message}`)
      if (error instanceof PowerLost) this.end(node, 'power')
      // See fatal(): what the failed sync has dropped is gone at once.
      else if (node.formerly !== undefined) node.crash('power')
      this.restart(node, 300)
    }
  }

  restart(node: SimNode, delayMs: number): void {
    this.queue.after(delayMs, undefined, () => this.start(node))
  }

  crash(node: SimNode, how: 'process' | 'power'): void {
    const watched = this.#watched
    const isHeld = watched !== undefined && this.queue.nowMs < watched.untilMs && watched.node.trust.trust === 'trusted'
    if (!isHeld) this.end(node, how)
  }

  /**
   * What the others remember of it is what finds out that its volume was put back; so they stay up until it knows, or a while. And so does it: every start that nobody hears of
   * makes it look newer (see life-marks.ts).
   */
  holdsCrashesFor(node: SimNode): void {
    this.#watched = { node, untilMs: this.queue.nowMs + 4000 }
    for (const other of this.nodes) {
      other.disk.losePowerAfter(Infinity)
      other.disk.limit(Infinity)
      if (other.life === undefined) continue
      other.life.endsAfterCalls = undefined
      other.life.endsInInstall = undefined
    }
  }

  /** Whatever anybody watches: the process is over. */
  end(node: SimNode, how: 'process' | 'power'): void {
    if (node.life === undefined && node.disk.hasPower) return
    this.trace.note(this.queue.nowMs, node.id, `crashes (${how})`)
    node.crash(how)
    this.restart(node, this.#chance.between(20, 1500))
  }

  /** The production code has asked for the end of its process. */
  fatal(node: SimNode, problem: FatalProblem): void {
    // Its process was ended in a listener of the log: no error of the disk.
    if (problem.cause instanceof ProcessEnded) return
    this.sometimes.met(`fatal: ${problem.code}`)
    this.trace.note(this.queue.nowMs, node.id, `ends: ${problem.code} ${problem.message}`)
    if (problem.code === 'log_write_failed') {
      node.trust.setTrust('untrusted')
      node.formerly ??= node.durable.copy()
      node.isDoomed = false
    }
    // Pages that a failed sync has dropped look well until the power goes; here it goes at once.
    this.end(node, problem.code === 'log_write_failed' ? 'power' : 'process')
  }

  /** It refused to start and must be replaced. */
  lost(node: SimNode): void {
    this.sometimes.met('must be replaced')
    this.trace.note(this.queue.nowMs, node.id, 'must be replaced')
    node.isGone = true
    this.onLost(node)
  }

  /** For the operator. */
  onLost: (node: SimNode) => void = () => {}

  raftEvent(node: SimNode, life: Life, event: RaftEvent): void {
    this.sometimes.met(`raft: ${event.kind}${event.kind === 'stepped-down' ? ` (${event.why})` : ''}`)
    this.trace.note(this.queue.nowMs, node.id, `${event.kind}${'term' in event ? ` t${event.term}` : ''}`)
    if (event.kind === 'trust-changed' && event.trust === 'trusted') {
      this.invariants.trustedAgain(life)
      node.formerly = undefined
    }
    if (event.kind === 'became-leader') this.invariants.becameLeader(life, event.term)
  }

  loopEvent(node: SimNode, event: LoopEvent): void {
    if (event.kind === 'snapshot-installed') node.isDiverged = false
    this.sometimes.met(`loop: ${event.kind}`)
    this.trace.note(this.queue.nowMs, node.id, event.kind)
  }

  /** Until virtual time `untilMs`, or until `isDone`, asked now and then. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    for (let event = this.queue.next(untilMs); event !== undefined; event = this.queue.next(untilMs)) {
      this.trace.events += 1
      try {
        event.run()
        for (let turn = 0; turn < microtasksPerEvent; turn += 1) await turned
        if (event.owner instanceof Life && event.owner.isAlive && event.owner.loop !== undefined) this.invariants.stepped(event.owner)
      } catch (error) {
        if (!(error instanceof ProcessEnded)) throw error
      }
      for (const node of this.nodes) if (!node.disk.hasPower) this.end(node, 'power')
      if (this.#broken !== undefined) throw this.#broken.error
      if (this.trace.events % 1024 === 0) await this.hearRejections()
      if (this.trace.events % 256 === 0 && isDone()) return
    }
  }

  /** Node tells of promises that were rejected and have no listener only when there is nothing else to do. */
  async hearRejections(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    if (this.#broken !== undefined) throw this.#broken.error
  }

  #node(endpoint: Endpoint): SimNode | undefined {
    return this.nodes.find((node) => node.life === endpoint)
  }
}

export function memberOf(id: NodeId, suffrage: 'voter' | 'learner'): Membership['members'][number] {
  return { id, incarnation: incarnationOf(id), raftAddress: `${id}:4002`, apiUrl: `https://${id}:4001`, suffrage }
}

function nameOf(number: number): NodeId {
  return `n${String(number).padStart(2, '0')}` as NodeId // a valid name by construction
}

function incarnationOf(id: NodeId): string {
  return `${id}-data`
}

/** Already there: awaiting it lets what waits run. */
const turned = Promise.resolve()

/** As the production's start would end: an error of the disk's calls. */
function isOfDisk(error: unknown): error is Error {
  return error instanceof PowerLost || (error instanceof Error && 'syscall' in error)
}
