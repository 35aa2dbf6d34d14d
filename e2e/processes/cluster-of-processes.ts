// A secure cluster of real node processes on this machine: real TLS, real files, free ports. Used by this suite, by the benchmark, and by tests that need the whole thing.
import { rmSync } from 'node:fs'
import { nodeStatus } from '../../contract/admin-api.ts'
import { renderFlag } from '../../contract/flags/render-flag.ts'
import { freePorts } from '../apiserver/free-ports.ts'
import { waitUntil } from '../apiserver/wait-until.ts'
import { ApiClient } from './api-client.ts'
import { makeClusterFiles } from './cluster-files.ts'
import type { ClusterFiles, User } from './cluster-files.ts'
import { NodeProcess } from './node-process.ts'

/** May do everything; the suites' own. */
export const admin: User = { name: 'admin', password: 'correct horse battery staple', permissions: ['all'] }

export interface ClusterOptions {
  readonly nodes: number
  /** Besides `admin`. */
  readonly users?: readonly User[]
  /** Further arguments for every node, before the data directory. */
  readonly flags?: readonly string[]
}

// A loaded two-core machine that starts three processes at once needs seconds for each; this only ends what hangs.
const readyDeadlineMs = 60_000

export class ClusterOfProcesses {
  readonly files: ClusterFiles
  readonly nodes: readonly NodeProcess[]
  readonly #clients: ApiClient[] = []

  private constructor(files: ClusterFiles, nodes: readonly NodeProcess[]) {
    this.files = files
    this.nodes = nodes
  }

  /** Starts every node and waits until each is ready (it knows a leader and serves reads). */
  static async start(options: ClusterOptions): Promise<ClusterOfProcesses> {
    const files = makeClusterFiles({ nodes: options.nodes, users: [admin, ...(options.users ?? [])] })
    const ports = await freePorts(options.nodes * 2)
    const raftAddresses = files.nodes.map((_, position) => `127.0.0.1:${ports[options.nodes + position]}`)
    const nodes = files.nodes.map((node, position) => {
      const apiPort = ports[position] ?? 0
      const argv = [
        renderFlag('node-id', node.id),
        renderFlag('http-addr', `127.0.0.1:${apiPort}`),
        renderFlag('raft-addr', raftAddresses[position] ?? ''),
        renderFlag('http-cert', node.httpCert),
        renderFlag('http-key', node.httpKey),
        renderFlag('http-ca-cert', files.apiCaFile),
        renderFlag('node-cert', node.nodeCert),
        renderFlag('node-key', node.nodeKey),
        renderFlag('node-ca-cert', files.nodeCaFile),
        renderFlag('node-verify-client', true),
        renderFlag('auth', files.accessFile),
        renderFlag('bootstrap-expect', options.nodes),
        renderFlag('join', raftAddresses),
        ...(options.flags ?? []),
        node.dataDir,
      ]
      return new NodeProcess({ id: node.id, apiPort, arguments: argv, logFile: node.logFile })
    })
    const cluster = new ClusterOfProcesses(files, nodes)
    try {
      for (const node of nodes) node.start()
      await cluster.whenReady()
      return cluster
    } catch (error) {
      const logs = nodes.map((node) => `--- ${node.id}\n${node.logTail()}`).join('\n')
      await cluster.close()
      throw new Error(`the cluster did not get ready\n${logs}`, { cause: error })
    }
  }

  /** A client of one node as `user`, closed with the cluster. */
  client(node: NodeProcess, user: Pick<User, 'name' | 'password'> = admin, options: { readonly connectionsMax?: number } = {}): ApiClient {
    const client = new ApiClient({ port: node.apiPort, ca: this.files.apiCa, username: user.name, password: user.password, ...options })
    this.#clients.push(client)
    return client
  }

  /** Waits until the given nodes (all, when none are given) know a leader and serve. A node that ends meanwhile fails the wait at once. */
  async whenReady(nodes: readonly NodeProcess[] = this.nodes): Promise<void> {
    await Promise.all(
      nodes.map(async (node) => {
        const client = new ApiClient({ port: node.apiPort, ca: this.files.apiCa })
        try {
          await waitUntil({ what: `${node.id} is ready`, deadlineMs: readyDeadlineMs, everyMs: 50 }, async () => {
            if (!node.isRunning) throw new Error(`${node.id} ended by itself:\n${node.logTail()}`)
            const answer = await client.send({ path: '/readyz', timeoutMs: 5000 })
            return answer.kind === 'reply' && answer.status === 200 ? true : undefined
          })
        } finally {
          client.close()
        }
      }),
    )
  }

  /** The node that the others take for the leader; undefined while nobody knows one. */
  async leader(): Promise<NodeProcess | undefined> {
    for (const node of this.nodes) {
      if (!node.isRunning) continue
      const client = new ApiClient({ port: node.apiPort, ca: this.files.apiCa, username: admin.name, password: admin.password })
      const answer = await client.send({ path: '/status', timeoutMs: 5000 })
      client.close()
      if (answer.kind !== 'reply' || answer.status !== 200) continue
      const leaderId = nodeStatus.parse(JSON.parse(answer.body)).store.leader.node_id
      const leader = this.nodes.find(({ id }) => id === leaderId)
      if (leader !== undefined) return leader
    }
    return undefined
  }

  /** Ends every process and removes every file. */
  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    await Promise.all(this.nodes.filter((node) => node.isRunning).map((node) => node.end('SIGKILL')))
    rmSync(this.files.folder, { recursive: true, force: true })
  }
}
