// Messages between nodes in virtual time. Weather decides how long they take and which are lost, doubled or spoiled; links are cut one way at a time; a process that
// has ended refuses connections, and its peers hear of that. Order is never promised. A part of the runs sends the production's bytes.
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Parcel } from '../raft/message.ts'
import { decodeMessage, encodeMessage } from '../peer/message-codec.ts'
import type { Transport, TransportListener } from '../replica/transport.ts'
import type { Chance } from './chance.ts'
import type { EventOwner, EventQueue } from './event-queue.ts'
import type { Introducer } from './introduction.ts'
import type { Sometimes } from './sometimes.ts'
import type { Trace } from './trace.ts'

export interface Weather {
  readonly lost: number
  readonly doubled: number
  /** A bit of an entry on its way is flipped. */
  readonly spoiled: number
  readonly delay: { readonly kind: 'uniform' | 'exponential' | 'bimodal'; readonly minMs: number; readonly meanMs: number }
}

export const calm: Weather = { lost: 0, doubled: 0, spoiled: 0, delay: { kind: 'uniform', minMs: 0.3, meanMs: 1 } }

/** One life of a node, as the network sees it. */
export interface Endpoint extends EventOwner {
  readonly id: NodeId
  readonly incarnation: string
  listener: TransportListener | undefined
  readonly introducer: Introducer
}

export interface NetworkPorts {
  readonly queue: EventQueue
  readonly chance: Chance
  readonly sometimes: Sometimes
  readonly trace: Trace
  /** Before a message leaves: the process may end here, and what it promises is judged. */
  readonly onSend: (from: Endpoint, parcel: Parcel) => void
}

interface Connection {
  readonly from: Endpoint
  readonly to: Endpoint
  readonly isOpen: boolean
  /** Of one that is not open. */
  readonly nextAtMs: number
  readonly waitsMs: number
}

/** How long a dialer waits after a refusal: twice as long after each that follows. */
const redialMs = 60
const redialMsMax = 960

export class VirtualNetwork {
  readonly #ports: NetworkPorts
  readonly #usesBytes: boolean
  readonly #endpoints = new Map<NodeId, Endpoint>()
  // "from to" -> the connection of one life to another, or when the next may be tried.
  readonly #connections = new Map<string, Connection>()
  // "from to" -> how many faults cut it.
  readonly #cuts = new Map<string, number>()
  weather: Weather = calm

  constructor(ports: NetworkPorts, options: { readonly usesBytes: boolean }) {
    this.#ports = ports
    this.#usesBytes = options.usesBytes
  }

  /** Undefined where nothing listens. */
  at(id: NodeId): Endpoint | undefined {
    return this.#endpoints.get(id)
  }

  join(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.id, endpoint)
    this.#keepDialling(endpoint, this.delayMs())
  }

  /** The process has ended: its peers' connections are reset. */
  leave(endpoint: Endpoint): void {
    if (this.#endpoints.get(endpoint.id) === endpoint) this.#endpoints.delete(endpoint.id)
    for (const other of this.#endpoints.values()) if (!this.isCut(endpoint.id, other.id)) this.#tellUnreachable(other, endpoint.id)
  }

  cut(from: NodeId, to: NodeId): void {
    const key = `${from} ${to}`
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1)
  }

  mend(from: NodeId, to: NodeId): void {
    const key = `${from} ${to}`
    const left = (this.#cuts.get(key) ?? 0) - 1
    if (left > 0) this.#cuts.set(key, left)
    else this.#cuts.delete(key)
  }

  mendAll(): void {
    this.#cuts.clear()
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(`${from} ${to}`)
  }

  /** Connections between two are reset: both hear of it. */
  reset(a: NodeId, b: NodeId): void {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const endpoint = this.#endpoints.get(one)
      if (endpoint !== undefined) this.#tellUnreachable(endpoint, other)
    }
  }

  send(from: Endpoint, parcel: Parcel): void {
    this.#ports.onSend(from, parcel)
    const { chance, sometimes } = this.#ports
    if (this.isCut(from.id, parcel.to)) return sometimes.met('message into a cut link')
    if (chance.happens(this.weather.lost)) return sometimes.met('message lost')
    const times = chance.happens(this.weather.doubled) ? 2 : 1
    if (times === 2) sometimes.met('message doubled')
    for (let time = 0; time < times; time += 1) this.#carry(from, parcel)
  }

  delayMs(): number {
    const { kind, minMs, meanMs } = this.weather.delay
    const { chance } = this.#ports
    switch (kind) {
      case 'uniform':
        return minMs + chance.fraction() * 2 * meanMs
      case 'exponential':
        return minMs + chance.exponential(meanMs)
      case 'bimodal':
        return minMs + (chance.happens(0.9) ? chance.fraction() * meanMs : meanMs * chance.between(5, 20))
    }
  }

  /** Links are made before they are needed and made anew when they break, as the production's are: who is not let in hears of it while it still matters. */
  #keepDialling(endpoint: Endpoint, afterMs: number): void {
    this.#ports.queue.after(afterMs, endpoint, () => {
      if (this.#endpoints.get(endpoint.id) !== endpoint) return
      for (const { id } of endpoint.introducer.directory.others()) {
        const target = this.#endpoints.get(id)
        if (target !== undefined && !this.isCut(endpoint.id, id) && !this.isCut(id, endpoint.id)) this.#isLetIn(endpoint, target)
      }
      this.#keepDialling(endpoint, redialMs)
    })
  }

  #carry(from: Endpoint, parcel: Parcel): void {
    const target = this.#endpoints.get(parcel.to)
    const delayMs = this.delayMs()
    if (target === undefined) {
      if (this.#ports.chance.happens(0.2)) this.#tellUnreachable(from, parcel.to)
      return
    }
    const sent = this.#usesBytes ? this.#asBytes(parcel) : parcel
    if (sent === undefined) return this.#tellUnreachable(from, parcel.to)
    this.#ports.queue.after(delayMs, target, () => this.#arrive(from, target, sent))
  }

  #arrive(from: Endpoint, target: Endpoint, parcel: Parcel): void {
    const { trace, queue, sometimes } = this.#ports
    if (this.isCut(from.id, target.id)) return sometimes.met('message into a cut link')
    // The connection may be gone with its maker; what was on its way may still arrive.
    if (!this.#isLetIn(from, target)) return
    trace.often(queue.nowMs, target.id, () => `<- ${from.id} ${wordsOf(parcel)}`)
    trace.number(parcel.message.term)
    target.introducer.hears(from.introducer, parcel.message)
    target.listener?.message(from.id, parcel.message)
  }

  #isLetIn(from: Endpoint, target: Endpoint): boolean {
    const { queue, sometimes } = this.#ports
    const key = `${from.id} ${target.id}`
    const known = this.#connections.get(key)
    if (known?.from === from && known.to === target) {
      const isStillKnown = target.introducer.directory.member(from.id)?.incarnation === from.incarnation
      if (known.isOpen && isStillKnown) return true
      if (!known.isOpen && queue.nowMs < known.nextAtMs) return false
    }
    // The dead introduce themselves no more; what they said on a connection that stands may still arrive.
    if (!from.isAlive) return false
    const introduced = from.introducer.introduceTo(target.introducer, () => this.#vouch(from, target))
    const waitsMs = known?.from !== from || known.to !== target || known.isOpen ? redialMs : Math.min(2 * known.waitsMs, redialMsMax)
    this.#connections.set(key, { from, to: target, isOpen: introduced === 'welcome', nextAtMs: queue.nowMs + waitsMs, waitsMs })
    if (introduced === 'welcome') return true
    sometimes.met(`hello: ${introduced}`)
    if (introduced === 'removed') this.#tell(from, (listener) => listener.removed())
    if (introduced === 'rolled_back') this.#tell(from, (listener) => listener.rolledBack())
    return false
  }

  /** The members whom `target` knows are asked about a stranger. */
  #vouch(from: Endpoint, target: Endpoint): void {
    for (const { id } of target.introducer.directory.others()) {
      const voucher = this.#endpoints.get(id)
      if (voucher === undefined || this.isCut(target.id, id) || this.isCut(id, target.id)) continue
      const member = voucher.introducer.directory.known(from.id)
      if (member !== undefined && member.incarnation === from.incarnation && target.introducer.directory.vouch(member)) return
    }
  }

  // Undefined: spoiled, and the receiver closed the connection.
  #asBytes(parcel: Parcel): Parcel | undefined {
    const bytes = Buffer.concat(encodeMessage(parcel.message))
    const { chance, sometimes } = this.#ports
    if (parcel.message.kind === 'append' && parcel.message.entries.length > 0 && chance.happens(this.weather.spoiled)) {
      sometimes.met('entry spoiled on its way')
      const entryBytes = parcel.message.entries.reduce((sum, entry) => sum + entry.bytes.length, 0)
      const at = bytes.length - 1 - chance.below(entryBytes)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << chance.below(8))
    }
    const message = decodeMessage(bytes)
    return typeof message === 'string' ? undefined : { to: parcel.to, message }
  }

  #tellUnreachable(endpoint: Endpoint, id: NodeId): void {
    this.#connections.delete(`${endpoint.id} ${id}`)
    this.#tell(endpoint, (listener) => listener.unreachable(id))
  }

  #tell(endpoint: Endpoint, what: (listener: TransportListener) => void): void {
    this.#ports.queue.after(this.delayMs(), endpoint, () => endpoint.listener !== undefined && what(endpoint.listener))
  }
}

/** The production's Transport for one life of a node. */
export class VirtualTransport implements Transport {
  readonly #network: VirtualNetwork
  readonly #endpoint: Endpoint

  constructor(network: VirtualNetwork, endpoint: Endpoint) {
    this.#network = network
    this.#endpoint = endpoint
  }

  send(parcels: readonly Parcel[]): void {
    const { directory } = this.#endpoint.introducer
    for (const parcel of parcels) if (directory.member(parcel.to) !== undefined) this.#network.send(this.#endpoint, parcel)
  }

  setMembership(membership: Membership): void {
    this.#endpoint.introducer.directory.update(membership)
  }

  listen(listener: TransportListener): void {
    this.#endpoint.listener = listener
  }
}

function wordsOf({ message }: Parcel): string {
  switch (message.kind) {
    case 'append':
      return `append t${message.term} after ${message.prevLogIndex}/${message.prevLogTerm} +${message.entries.length} commit ${message.leaderCommit} read ${message.readSequence}`
    case 'append-reply':
      return `append-reply t${message.term} ${message.accepted ? 'accepted' : 'refused'} ${message.matchIndex} hint ${message.hintIndex}/${message.hintTerm} read ${message.readSequence}`
    case 'pre-vote':
    case 'vote':
      return `${message.kind} t${message.term} log ${message.lastLogIndex}/${message.lastLogTerm}`
    case 'pre-vote-reply':
    case 'vote-reply':
      return `${message.kind} t${message.term} ${message.granted ? 'granted' : 'refused'}`
    case 'read-index':
    case 'read-index-reply':
    case 'timeout-now':
    case 'install-snapshot':
    case 'distrust':
      return `${message.kind} t${message.term}`
  }
}
