// The transport's twin in memory: a network of named nodes on one thread, whose links can be cut.
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Parcel } from '../raft/message.ts'
import type { Clock } from './clock.ts'
import type { Transport, TransportListener } from './transport.ts'

export class MemoryNetwork {
  readonly #clock: Clock
  readonly #nodes = new Map<NodeId, MemoryTransport>()
  // "from to": nothing goes this way.
  readonly #cut = new Set<string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  join(id: NodeId): MemoryTransport {
    // One that has left is a dead process, whatever it still sends.
    const transport: MemoryTransport = new MemoryTransport(id, (parcel) => this.#nodes.get(id) === transport && this.#carry(id, parcel))
    this.#nodes.set(id, transport)
    return transport
  }

  /** The node's process is gone: connections to it are refused. */
  leave(id: NodeId): void {
    this.#nodes.delete(id)
    for (const [other, transport] of this.#nodes) this.#clock.soon(() => this.#nodes.get(other) === transport && transport.unreachable(id))
  }

  /** Everything between the two is lost without a word, as in a partition. */
  cut(a: NodeId, b: NodeId): void {
    this.#cut.add(`${a} ${b}`).add(`${b} ${a}`)
  }

  heal(): void {
    this.#cut.clear()
  }

  /** Whether both ways between the two are open. */
  isOpen(a: NodeId, b: NodeId): boolean {
    return !this.#cut.has(`${a} ${b}`) && !this.#cut.has(`${b} ${a}`)
  }

  #carry(from: NodeId, parcel: Parcel): void {
    this.#clock.soon(() => {
      if (this.#cut.has(`${from} ${parcel.to}`)) return
      const receiver = this.#nodes.get(parcel.to)
      if (receiver === undefined) this.#nodes.get(from)?.unreachable(parcel.to)
      else receiver.receive(from, parcel)
    })
  }
}

class MemoryTransport implements Transport {
  readonly #id: NodeId
  readonly #carry: (parcel: Parcel) => unknown
  #members: ReadonlySet<NodeId> = new Set()
  #listener: TransportListener | undefined

  constructor(id: NodeId, carry: (parcel: Parcel) => unknown) {
    this.#id = id
    this.#carry = carry
  }

  send(parcels: readonly Parcel[]): void {
    for (const parcel of parcels) if (parcel.to !== this.#id) this.#carry(parcel)
  }

  setMembership(membership: Membership): void {
    this.#members = new Set(membership.members.map((member) => member.id))
  }

  listen(listener: TransportListener): void {
    this.#listener = listener
  }

  receive(from: NodeId, parcel: Parcel): void {
    // One who has been told of no members yet is joining: it hears whoever knows it.
    if (this.#members.size > 0 && !this.#members.has(from)) return
    this.#listener?.message(from, parcel.message)
  }

  unreachable(id: NodeId): void {
    this.#listener?.unreachable(id)
  }
}
