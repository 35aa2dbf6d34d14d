// The one place where this node comes to belong to a cluster. Proposals, joins and its own forming may all arrive at once; they are taken one after another, and what came
// first stays: the identity store treats a second, different cluster as a bug.
import type { ClusterIdentity, IdentityStore } from './cluster-identity.ts'

export class Adoption {
  readonly #identity: IdentityStore
  #last: Promise<unknown> = Promise.resolve()
  #isProposing = false

  constructor(identity: IdentityStore) {
    this.#identity = identity
  }

  get cluster(): ClusterIdentity | undefined {
    return this.#identity.cluster
  }

  /** While this node proposes a cluster of its own it accepts none of another: it could not keep both promises. */
  get isProposing(): boolean {
    return this.#isProposing
  }

  async whileProposing<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#isProposing = true
    try {
      return await work()
    } finally {
      this.#isProposing = false
    }
  }

  /** True: this node now belongs to `cluster`, durably. False: it belongs to another already. */
  adopt(cluster: ClusterIdentity): Promise<boolean> {
    const adopted = this.#last.then(async () => {
      const own = this.#identity.cluster
      if (own !== undefined) return own.clusterId === cluster.clusterId
      await this.#identity.adopt(cluster)
      return true
    })
    this.#last = adopted.catch(() => undefined) // the caller hears of it; the next in line only waits
    return adopted
  }
}
