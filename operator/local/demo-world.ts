// What the steps of the demo look at: the resource and its objects through the `kube` port, the members through their API, as the people and programs that they
// stand for would. It serves the in-memory API server and a real one alike.
import assert from 'node:assert/strict'
import { nodeStatus, podLayout } from '../../contract/admin-api.ts'
import type { NodeStatus } from '../../contract/admin-api.ts'
import { isJsonObject, listAt, numberAt, objectAt, textAt } from '../kube/json-object.ts'
import type { Kube, KubeObject } from '../kube/kube.ts'
import { ask } from './demo-client.ts'
import type { Answer, Member, Question, User } from './demo-client.ts'
import type { Endpoint, LocalAddresses, PodName } from './local-addresses.ts'

/** Where things are, in the operator's own names; whoever composes the demo knows them. */
export interface DemoNames {
  readonly namespace: string
  readonly cluster: string
  readonly replicas: number
  readonly nodesService: string
  /** Secrets: `ca.crt`; `tls.crt` and `tls.key` of each port; a password and its key for each user. */
  readonly caSecret: string
  readonly apiTlsSecret: string
  readonly nodeTlsSecret: string
  readonly app: UserSecret
  readonly reporting: UserSecret
  readonly operator: UserSecret
}

export interface UserSecret {
  readonly user: string
  readonly secret: string
  readonly key: string
}

export interface DemoWorldOptions {
  readonly kube: Kube
  readonly addresses: LocalAddresses
  readonly pidOf: (pod: PodName) => number | undefined
  readonly names: DemoNames
}

const clusterKind = { apiVersion: 'securesql.dev/v1alpha1', kind: 'SecureSqlCluster' }
const pollMs = 50
/** A member that does not say how it is in this time counts as down; it is asked again. */
const statusWithinMs = 5_000

export class DemoWorld {
  readonly names: DemoNames
  readonly #options: DemoWorldOptions

  constructor(options: DemoWorldOptions) {
    this.names = options.names
    this.#options = options
  }

  get kube(): Kube {
    return this.#options.kube
  }

  pidOf(member: string): number | undefined {
    return this.#options.pidOf({ namespace: this.names.namespace, name: member })
  }

  async members(): Promise<readonly Member[]> {
    const { namespace, cluster, replicas, nodesService } = this.names
    const pods = Array.from({ length: replicas }, (_unused, ordinal) => `${cluster}-${ordinal}`)
    return Promise.all(
      pods.map(async (name) => ({
        name,
        dnsName: `${name}.${nodesService}.${namespace}.svc`,
        ...(await this.#options.addresses.endpoint({ namespace, name }, podLayout.apiPort)),
      })),
    )
  }

  raftEndpoint(member: string): Promise<Endpoint> {
    return this.#options.addresses.endpoint({ namespace: this.names.namespace, name: member }, podLayout.raftPort)
  }

  /** The resource's status as the operator last wrote it. */
  async status(): Promise<{
    readonly leader: string | undefined
    readonly readyReplicas: number
    readonly ready: boolean
    readonly why: string
  }> {
    const found = await this.kube.get({ ...clusterKind, namespace: this.names.namespace, name: this.names.cluster })
    const status = found.ok ? found.value['status'] : undefined
    const ready = listAt(status, 'conditions').find((condition) => textAt(condition, 'type') === 'Ready')
    return {
      leader: textAt(status, 'leader'),
      readyReplicas: numberAt(status, 'readyReplicas') ?? 0,
      ready: textAt(ready, 'status') === 'True',
      why: textAt(ready, 'message') ?? 'the operator has not said anything yet',
    }
  }

  /** The text under `key` of a Secret. */
  async secretText(secret: string, key: string): Promise<string> {
    const found = await this.kube.get({ apiVersion: 'v1', kind: 'Secret', namespace: this.names.namespace, name: secret })
    const value = found.ok ? textAt(objectAt(found.value, 'data'), key) : undefined
    assert(value !== undefined, `the Secret ${secret} has no ${key}`)
    return Buffer.from(value, 'base64').toString('utf8')
  }

  /** Every value of every Secret of the namespace, apart from users' names, which are no secrets. */
  async secretValues(): Promise<readonly string[]> {
    const listed = await this.kube.list({ apiVersion: 'v1', kind: 'Secret' }, { namespace: this.names.namespace })
    const secrets = listed.ok ? listed.value.items : []
    return secrets
      .flatMap((secret) => Object.entries(objectAt(secret, 'data')))
      .filter(([key]) => key !== 'username')
      .map(([, value]) => Buffer.from(String(value), 'base64').toString('utf8'))
      .filter((value) => value !== '')
  }

  async user({ user, secret, key }: UserSecret): Promise<User> {
    return { name: user, password: await this.secretText(secret, key) }
  }

  caPem(): Promise<string> {
    return this.secretText(this.names.caSecret, 'ca.crt')
  }

  async ask(member: Member, user: UserSecret, question: Pick<Question, 'method' | 'path' | 'body' | 'withinMs'>): Promise<Answer> {
    return ask(member, { ...question, user: await this.user(user), caPem: await this.caPem() })
  }

  /** What a member says of itself; undefined when it does not answer. */
  async memberStatus(member: Member): Promise<NodeStatus['store'] | undefined> {
    try {
      const answer = await this.ask(member, this.names.operator, { method: 'GET', path: '/status', withinMs: statusWithinMs })
      return nodeStatus.parse(answer.body).store
    } catch {
      // Down, or just starting: the caller asks another or asks again.
      return undefined
    }
  }

  /** The leader in the newest term that any member knows of, when at least two members agree on it. */
  async leader(): Promise<{ readonly name: string; readonly term: number } | undefined> {
    const answers = await Promise.all((await this.members()).map((member) => this.memberStatus(member)))
    const stores = answers.filter((store) => store !== undefined)
    const term = Math.max(0, ...stores.map((store) => store.raft.term))
    const named = stores.filter((store) => store.raft.term === term && store.leader.node_id !== '').map((store) => store.leader.node_id)
    const [name] = named
    return name !== undefined && named.length >= 2 && named.every((other) => other === name) ? { name, term } : undefined
  }

  /** Repeats `look` until it gives something. */
  async until<Value>(what: string, deadlineMs: number, look: () => Promise<Value | undefined>): Promise<Value> {
    const endMs = performance.now() + deadlineMs
    for (;;) {
      const value = await look()
      if (value !== undefined) return value
      if (performance.now() >= endMs) throw new Error(`waited ${deadlineMs / 1_000} s in vain for ${what}`)
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }
}

/** The objects that belong to the cluster, by kind. The StatefulSet is looked for first: where it is there, what must be there before it is found afterwards. */
export async function ownedObjects(world: DemoWorld): Promise<ReadonlyMap<string, readonly string[]>> {
  const kinds = [
    ['apps/v1', 'StatefulSet'],
    ['networking.k8s.io/v1', 'NetworkPolicy'],
    ['v1', 'Secret'],
    ['v1', 'Service'],
    ['v1', 'ServiceAccount'],
    ['policy/v1', 'PodDisruptionBudget'],
  ] as const
  const owned = new Map<string, readonly string[]>()
  for (const [apiVersion, kind] of kinds) {
    const listed = await world.kube.list({ apiVersion, kind }, { namespace: world.names.namespace })
    const items = listed.ok ? listed.value.items.filter((item) => belongsTo(item, world.names.cluster)) : []
    if (items.length > 0)
      owned.set(
        kind,
        items.map((item) => item.metadata.name),
      )
  }
  return owned
}

function belongsTo(object: KubeObject, cluster: string): boolean {
  return (object.metadata.ownerReferences ?? []).some((owner) => owner.kind === clusterKind.kind && owner.name === cluster)
}

/** The results of `/db/execute` and `/db/query`: a refusal by SQLite is a result with an `error`. */
export function resultsOf(
  answer: Answer,
): readonly { readonly error: string | undefined; readonly rowsAffected: number; readonly values: readonly unknown[] }[] {
  assert.equal(answer.status, 200, `expected 200, got ${answer.status}: ${JSON.stringify(answer.body)}`)
  return listAt(answer.body, 'results')
    .filter(isJsonObject)
    .map((result) => ({
      error: textAt(result, 'error'),
      rowsAffected: numberAt(result, 'rows_affected') ?? 0,
      values: listAt(result, 'values'),
    }))
}
