// Port: how messages reach other members. Owned by the replica loop; `node/peer` implements it over mutual TLS, `memory-transport.ts` in memory.
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Message, Parcel } from '../raft/message.ts'

export interface TransportListener {
  /** The sender has been checked: it is this member of this cluster. */
  message(from: NodeId, message: Message): void
  /** A connection to a member was refused, reset or closed. */
  unreachable(id: NodeId): void
  /** A member has refused this node because the cluster has removed it. May come again and again. */
  removed(): void
  /** A member has refused this node because it has lost what it had promised: its disk was put back in time. May come again and again. */
  rolledBack(): void
}

export interface Transport {
  /** Best effort: may lose, never alters, reorders only across reconnects. Bounded queues: what does not fit is dropped. */
  send(parcels: readonly Parcel[]): void
  /** Called at start and whenever the membership changes: whom to dial, whom to let in. */
  setMembership(membership: Membership): void
  listen(listener: TransportListener): void
}
