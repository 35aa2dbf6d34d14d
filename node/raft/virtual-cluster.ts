// For tests: a whole cluster of cores on one thread, in virtual time, from a seed: a network that loses, doubles, delays and reorders, disks that take their time,
// state machines that lag, crashes that lose what was not synced. The same seed gives the same run.
import assert from 'node:assert/strict'
import type { Membership, MembershipChange, NodeId } from './membership.ts'
import type { Parcel } from './message.ts'
import type { Input, Output, RaftEvent } from './raft-port.ts'
import { seededRandom } from './seeded-random.ts'
import { VirtualInvariants } from './virtual-invariants.ts'
import { VirtualNode, virtualLimits, virtualMembership, type VirtualImage, type VirtualSnapshot } from './virtual-node.ts'

export interface Weather {
  /** Of a hundred messages. */
  readonly lostPercent: number
  readonly doubledPercent: number
  readonly networkMsMax: number
  readonly diskMsMax: number
  readonly applyMsMax: number
}

export const calm: Weather = { lostPercent: 0, doubledPercent: 0, networkMsMax: 1, diskMsMax: 1, applyMsMax: 1 }

export const tickMs = 10
export const electionTicks = 10

interface Running {
  readonly node: VirtualNode
  readonly tickPhaseMs: number
  inbox: Input[]
  isUp: boolean
  pausedUntilMs: number
  diskFreeAtMs: number
  isApplying: boolean
  /** A snapshot is on its way to it. */
  isFetching: boolean
  received: VirtualSnapshot | undefined
  /** Of its disk, to be put back. */
  image: VirtualImage | undefined
}

interface Proposal {
  readonly by: NodeId
  readonly life: number
  readonly term: number
}

/** A removed leader goes in the very step in which it may have committed its last entries. */
function hasLeft(event: RaftEvent): boolean {
  return event.kind === 'stepped-down' && event.why === 'removed'
}

export class VirtualCluster {
  readonly random: (limit: number) => number
  readonly invariants: VirtualInvariants
  readonly events: { readonly atMs: number; readonly id: NodeId; readonly event: RaftEvent }[] = []
  weather: Weather = calm
  nowMs = 0
  readonly #running = new Map<NodeId, Running>()
  readonly #nodes = new Map<NodeId, VirtualNode>()
  readonly #agenda = new Map<number, (() => void)[]>()
  readonly #cut = new Set<string>()
  readonly #seed: number
  #lastId = 0
  // index -> who proposed what stands there, as far as it believes.
  readonly #proposals = new Map<string, Proposal>()
  readonly #reads = new Map<number, { readonly acknowledgedBefore: number }>()
  readsDone = 0
  /** How often what was to be tried has happened. */
  readonly counts = { compactions: 0, installs: 0, resets: 0, statesLost: 0, putBack: 0 }

  constructor(options: { readonly seed: number; readonly voters: readonly string[] }) {
    this.random = seededRandom(options.seed)
    this.#seed = options.seed
    this.invariants = new VirtualInvariants(this.#nodes)
    const membership = virtualMembership(options.voters)
    for (const name of options.voters) this.add(name, membership)
  }

  get ids(): readonly NodeId[] {
    return Array.from(this.#running.keys())
  }

  /** A node that begins with an empty disk; without members it waits for a leader to write to it. */
  add(name: string, membership: Membership = { members: [] }): void {
    const id = name as NodeId
    const options = { id, membership, electionTicks, heartbeatTicks: 2, seed: this.#seed * 64 + this.#running.size, limits: virtualLimits }
    const node = new VirtualNode(options)
    this.#nodes.set(id, node)
    this.#running.set(id, {
      node,
      tickPhaseMs: this.random(tickMs),
      inbox: [],
      isUp: true,
      pausedUntilMs: 0,
      diskFreeAtMs: 0,
      isApplying: false,
      isFetching: false,
      received: undefined,
      image: undefined,
    })
  }

  node(id: NodeId): VirtualNode {
    return this.#at(id).node
  }

  isUp(id: NodeId): boolean {
    return this.#at(id).isUp
  }

  get leader(): NodeId | undefined {
    const leaders = this.ids.filter((id) => this.isUp(id) && this.node(id).raft.status().role === 'leader')
    return leaders.sort((a, b) => this.node(b).raft.status().term - this.node(a).raft.status().term)[0]
  }

  run(ms: number): void {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs;) {
      this.nowMs += 1
      const due = this.#agenda.get(this.nowMs) ?? []
      this.#agenda.delete(this.nowMs)
      for (const action of due) action()
      for (const running of this.#running.values()) this.#turn(running)
    }
  }

  /** Runs until the condition holds; fails after `ms`. */
  until(condition: () => boolean, ms: number, what: string): void {
    for (let waitedMs = 0; !condition(); waitedMs += 1) {
      assert(waitedMs < ms, `not within ${ms} ms: ${what}`)
      this.run(1)
    }
  }

  propose(id: NodeId, text: string): void {
    this.#lastId += 1
    this.#input(id, { kind: 'propose', id: this.#lastId, payload: new TextEncoder().encode(text) })
  }

  changeMembership(id: NodeId, change: MembershipChange): void {
    this.#lastId += 1
    this.#input(id, { kind: 'change-membership', id: this.#lastId, change })
  }

  read(id: NodeId): void {
    this.#lastId += 1
    this.#reads.set(this.#lastId, { acknowledgedBefore: this.invariants.acknowledgedIndex })
    this.#input(id, { kind: 'read', id: this.#lastId })
  }

  transfer(id: NodeId, to: NodeId | undefined): void {
    this.#input(id, { kind: 'transfer', to })
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from} ${to}`)
  }

  /** The connection breaks: both ends hear of it. */
  reset(a: NodeId, b: NodeId): void {
    this.#input(a, { kind: 'unreachable', id: b })
    this.#input(b, { kind: 'unreachable', id: a })
  }

  /** Only this end hears that the connection is broken; what was still to come over it does not come. */
  hearReset(id: NodeId, of: NodeId): void {
    this.cut(of, id)
    this.#input(id, { kind: 'unreachable', id: of })
  }

  isolate(id: NodeId): void {
    for (const other of this.ids) if (other !== id) this.#cut.add(`${id} ${other}`).add(`${other} ${id}`)
  }

  heal(): void {
    this.#cut.clear()
  }

  /** The process is stopped and continues later: all that came meanwhile, ticks too, comes at once. */
  pause(id: NodeId, ms: number): void {
    this.#at(id).pausedUntilMs = this.nowMs + ms
  }

  crash(id: NodeId): void {
    const running = this.#at(id)
    if (!running.isUp) return
    running.isUp = false
    running.inbox = []
    running.isApplying = false
    running.isFetching = false
    running.received = undefined
    running.node.crash(this.random(running.node.disk.pendingSequences.length + 1))
  }

  restart(id: NodeId): void {
    const running = this.#at(id)
    if (running.isUp) return
    running.isUp = true
    running.diskFreeAtMs = 0
    running.node.restart()
    if (running.node.isStateLost) running.inbox.push(running.node.loseState())
  }

  /** The log gives up what the state machine holds, but for `kept` entries. */
  compact(id: NodeId, kept: number): void {
    const { node, isUp } = this.#at(id)
    if (!isUp) return
    node.disk.compact(node.applied.length - kept)
    this.counts.compactions += 1
  }

  /** One at a time: somewhere the state must be left. */
  loseState(id: NodeId): void {
    const running = this.#at(id)
    if (!running.isUp || this.ids.some((other) => this.node(other).isStateLost)) return
    running.isApplying = false
    running.node.applyings += 1
    running.inbox.push(running.node.loseState())
    this.counts.statesLost += 1
  }

  /** Remembers the disk as it is, for a later `putBack`. */
  backUp(id: NodeId): void {
    this.#at(id).image = this.#at(id).node.image()
  }

  /** The node crashes, its disk is put back to the remembered state, and it starts again, knowing that its disk is not to be believed. One at a time. */
  putBack(id: NodeId): void {
    const running = this.#at(id)
    if (running.image === undefined || this.ids.some((other) => this.node(other).trust === 'untrusted')) return
    this.crash(id)
    this.invariants.losing(running.node)
    running.node.putBack(running.image)
    running.image = undefined
    this.restart(id)
    this.counts.putBack += 1
  }

  #turn(running: Running): void {
    if (!running.isUp) return
    if (this.nowMs % tickMs === running.tickPhaseMs) this.#addTick(running)
    if (this.nowMs < running.pausedUntilMs || running.inbox.length === 0) return
    const inputs = running.inbox
    running.inbox = []
    const { node } = running
    // As the replica loop does: only while the state machine has nothing under way.
    if (running.received !== undefined && !running.isApplying && node.toApply.length === 0) {
      inputs.push(node.stage(running.received))
      running.received = undefined
    }
    const output = node.step(inputs)
    this.#carryOut(running, output)
    this.invariants.stepped(node, { status: node.raft.status(), hasLeft: output.events.some(hasLeft) })
  }

  // As the replica loop does: after a pause at most one election's worth.
  #addTick(running: Running): void {
    if (running.inbox.filter((input) => input.kind === 'tick').length < electionTicks) running.inbox.push({ kind: 'tick' })
  }

  #carryOut(running: Running, output: Output): void {
    const { node } = running
    if (output.install !== undefined) this.#installed(running, output)
    if (output.fetchSnapshot !== undefined) this.#fetch(running, output.fetchSnapshot)
    if (output.persist !== undefined) {
      this.invariants.wrote(node, output.persist.entries)
      this.#startWrite(running, output.persist.sequence)
    }
    for (const event of output.events) {
      this.events.push({ atMs: this.nowMs, id: node.id, event })
      if (event.kind === 'became-leader') this.invariants.becameLeader(node, event.term)
    }
    for (const { index, term } of output.proposed) this.#proposals.set(`${node.id} ${index}`, { by: node.id, life: node.lives, term })
    for (const { id, index } of output.reads) this.#endRead(id, index)
    for (const parcel of output.send) this.#carry(node, parcel)
    this.#startApplying(running)
  }

  #startWrite(running: Running, sequence: number): void {
    const { node } = running
    const { lives } = node
    running.diskFreeAtMs = Math.max(running.diskFreeAtMs, this.nowMs) + this.random(this.weather.diskMsMax + 1)
    this.#schedule(Math.max(running.diskFreeAtMs, this.nowMs + 1), () => {
      if (!running.isUp || node.lives !== lives) return
      node.disk.sync(sequence)
      running.inbox.push({ kind: 'durable', sequence })
    })
  }

  #startApplying(running: Running): void {
    const { node } = running
    if (running.isApplying || node.toApply.length === 0) return
    running.isApplying = true
    const { lives, applyings } = node
    this.#schedule(this.nowMs + 1 + this.random(this.weather.applyMsMax), () => {
      if (!running.isUp || node.lives !== lives || node.applyings !== applyings) return
      running.isApplying = false
      const before = node.applied.length
      running.inbox.push(node.apply(1 + this.random(node.toApply.length)))
      this.invariants.applied(node, before)
      this.#acknowledge(node, before)
      this.#startApplying(running)
    })
  }

  // The pull of a snapshot: asked for, made and carried over takes its time, and either end may be gone by then.
  #fetch(running: Running, wanted: NonNullable<Output['fetchSnapshot']>): void {
    if (running.isFetching || running.received !== undefined) return
    running.isFetching = true
    const { node } = running
    const { lives } = node
    const pause = (): number => this.nowMs + 1 + this.random(2 * this.weather.networkMsMax + 1)
    const isHere = (): boolean => running.isUp && node.lives === lives
    this.#schedule(pause(), () => {
      const source = this.#running.get(wanted.from)
      const isServed = source?.isUp === true && !this.#cut.has(`${wanted.from} ${node.id}`) && !source.node.isStateLost
      const snapshot = isServed && source.node.applied.length >= wanted.indexMin ? source.node.takeSnapshot() : undefined
      this.#schedule(pause(), () => {
        if (!isHere()) return
        running.isFetching = false
        running.received = snapshot
        if (snapshot !== undefined && this.random(10) === 0) this.#schedule(pause(), () => isHere() && (running.received = snapshot))
      })
    })
  }

  #installed(running: Running, output: Output): void {
    running.isApplying = false
    this.counts.installs += 1
    if (output.persist?.reset !== undefined) this.counts.resets += 1
    this.invariants.applied(running.node, 0)
  }

  #acknowledge(node: VirtualNode, from: number): void {
    for (const entry of node.applied.slice(from)) {
      const proposal = this.#proposals.get(`${node.id} ${entry.index}`)
      if (proposal !== undefined && proposal.life === node.lives && proposal.term === entry.term) this.invariants.acknowledged(entry)
    }
  }

  #carry(node: VirtualNode, parcel: Parcel): void {
    this.invariants.sent(node, parcel)
    const { lostPercent, doubledPercent } = this.weather
    if (this.#cut.has(`${node.id} ${parcel.to}`) || this.random(100) < lostPercent) return
    this.#deliver(node.id, parcel)
    if (this.random(100) < doubledPercent) this.#deliver(node.id, parcel)
  }

  #deliver(from: NodeId, parcel: Parcel): void {
    this.#schedule(this.nowMs + 1 + this.random(this.weather.networkMsMax), () => {
      if (this.#cut.has(`${from} ${parcel.to}`)) return
      this.#input(parcel.to, { kind: 'message', from, message: parcel.message })
    })
  }

  #endRead(id: number, index: number): void {
    const read = this.#reads.get(id)
    if (read === undefined) return
    this.invariants.read({ index, acknowledgedBefore: read.acknowledgedBefore })
    this.readsDone += 1
  }

  #input(id: NodeId, input: Input): void {
    const running = this.#running.get(id)
    if (running?.isUp === true) running.inbox.push(input)
  }

  #at(id: NodeId): Running {
    const running = this.#running.get(id)
    assert(running !== undefined, `no node ${id}`)
    return running
  }

  #schedule(atMs: number, action: () => void): void {
    const due = this.#agenda.get(atMs)
    if (due === undefined) this.#agenda.set(atMs, [action])
    else due.push(action)
  }
}
