// Port: whether this node's disk can be believed (see Trust in raft-port.ts). Owned by the replica loop; `node/store` implements it in the identity file.
import type { Trust } from '../raft/raft-port.ts'

export interface TrustStore {
  readonly trust: Trust
  /** Durable when it returns. */
  setTrust(trust: Trust): void
}
