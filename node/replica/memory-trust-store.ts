// The trust store's twin in memory: outlives the node that uses it.
import type { Trust } from '../raft/raft-port.ts'
import type { TrustStore } from './trust-store.ts'

export class MemoryTrustStore implements TrustStore {
  trust: Trust = 'trusted'

  setTrust(trust: Trust): void {
    this.trust = trust
  }
}
