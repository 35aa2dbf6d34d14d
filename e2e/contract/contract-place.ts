// Where a case of the contract is tried: a node of a real cluster over HTTPS, and who asks it. The same cases run on a cluster of one node and through a follower of
// three, because a client must not be able to tell them apart but by what the contract itself says is different.
import assert from 'node:assert/strict'
import { Agent } from 'node:https'
import { nodeStatus } from '../../contract/admin-api.ts'
import { permissions } from '../../contract/permissions.ts'
import type { Permission } from '../../contract/permissions.ts'
import { request } from '../../node/api/api-fixture.ts'
import type { Answer, Ask } from '../../node/api/api-fixture.ts'
import { basicAuthorization } from '../processes/api-client.ts'
import { ClusterOfProcesses, admin, patientTimers } from '../processes/cluster-of-processes.ts'
import type { User } from '../processes/cluster-files.ts'
import type { NodeProcess } from '../processes/node-process.ts'

/** One row of the contract. Its title says in words what holds; it makes its own tables, and runs after those before it. */
export interface ContractCase {
  readonly title: string
  /** Absent: on both. */
  readonly only?: Place['kind']
  run(place: Place): Promise<void>
}

const password = 'one of the contract suite'
const single = permissions.filter((permission) => permission !== 'all' && !permission.startsWith('join'))

/** A user for each permission who has nothing else, and one who has everything else. In cleartext: the suite is not about bcrypt, which costs a tenth of a second each. */
const users: readonly User[] = single.flatMap((permission) => [
  { name: userWith(permission), password, permissions: [permission], stored: 'cleartext' as const },
  { name: userWithout(permission), password, permissions: single.filter((other) => other !== permission), stored: 'cleartext' as const },
])

export function userWith(permission: Permission): string {
  return `only-${permission}`
}

export function userWithout(permission: Permission): string {
  return `all-but-${permission}`
}

export interface PlaceAsk extends Omit<Ask, 'as'> {
  /** The administrator when absent; `nobody` shows no credentials. */
  readonly as?: string
}

export class Place {
  readonly kind: 'one-node' | 'follower'
  readonly cluster: ClusterOfProcesses
  /** Who is asked; the leader's is the only other that a case may need. */
  asked: NodeProcess
  leader: NodeProcess
  readonly #agent: Agent

  private constructor(cluster: ClusterOfProcesses, asked: NodeProcess, leader: NodeProcess) {
    this.kind = asked === leader ? 'one-node' : 'follower'
    this.cluster = cluster
    this.asked = asked
    this.leader = leader
    this.#agent = new Agent({ keepAlive: true, ca: cluster.files.apiCa })
  }

  static async open(kind: Place['kind']): Promise<Place> {
    const cluster = await ClusterOfProcesses.start(kind === 'one-node' ? { nodes: 1, users } : { nodes: 3, users, flags: patientTimers })
    const leader = await cluster.whoLeads()
    const asked = kind === 'one-node' ? leader : cluster.nodes.find((node) => node !== leader)
    assert.ok(asked !== undefined)
    return new Place(cluster, asked, leader)
  }

  ask(path: string, { as = admin.name, headers, ...ask }: PlaceAsk = {}): Promise<Answer> {
    const shown = as === admin.name ? admin.password : password
    const authorization = as === 'nobody' ? {} : { Authorization: basicAuthorization({ name: as, password: shown }) }
    const target = { port: this.asked.apiPort, path, agent: this.#agent, secure: true }
    return request(target, { ...ask, headers: { ...authorization, ...headers } })
  }

  /** POSTs `body`, as JSON unless it is text already. */
  post(path: string, body: unknown, ask: PlaceAsk = {}): Promise<Answer> {
    return this.ask(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), ...ask })
  }

  /** The bytes of an answer that is no HTTP error. */
  async execute(statements: unknown, parameters = ''): Promise<string> {
    return bytes(await this.post(`/db/execute${parameters}`, statements))
  }

  async request(statements: unknown, parameters = ''): Promise<string> {
    return bytes(await this.post(`/db/request${parameters}`, statements))
  }

  async query(sql: string, parameters = ''): Promise<string> {
    return bytes(await this.ask(`/db/query${parameters === '' ? '?' : `${parameters}&`}q=${encodeURIComponent(sql)}`))
  }

  /** The rows of the only result, by their bytes: what stands between the outer brackets of `values`. */
  async values(sql: string, parameters = ''): Promise<string> {
    const body = await this.query(sql, parameters)
    const match = /"values":\[(.*)\]\}\]\}$/.exec(body)
    assert.ok(match !== null, body)
    return match[1] ?? ''
  }

  /** rqlite shows where it was answered by the API address of the asked node, or by the Raft address of the leader. */
  async servedBy(): Promise<string> {
    const { store } = nodeStatus.parse(JSON.parse((await this.ask('/status')).body))
    return store.raft.state === 'Leader' ? this.asked.address : store.leader.addr
  }

  /** After a node was ended or started anew, and before a case that must not meet the leader: on a loaded machine another node may have taken over. */
  async settle(): Promise<void> {
    const running = this.cluster.nodes.filter((node) => node.isRunning)
    await this.cluster.whenReady(running)
    this.leader = await this.cluster.whoLeads()
    this.asked = running.find((node) => node !== this.leader) ?? this.leader
  }

  async close(): Promise<void> {
    this.#agent.destroy()
    await this.cluster.close()
  }
}

function bytes(answer: Answer): string {
  assert.equal(answer.status, 200, answer.body)
  return answer.body
}
