// A secure cluster of real node processes on this machine: real TLS, real files, free ports. Used by this suite, by the benchmark, and by tests that need the whole thing.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { nodeStatus } from '../../contract/admin-api.ts'
import type { NodeStatus } from '../../contract/admin-api.ts'
import { renderFlag } from '../../contract/flags/render-flag.ts'
import { freePorts } from '../apiserver/free-ports.ts'
import { waitUntil } from '../apiserver/wait-until.ts'
import { ApiClient } from './api-client.ts'
import { joiner, makeClusterFiles } from './cluster-files.ts'
import type { ClusterFiles, NodeFiles, User } from './cluster-files.ts'
import type { DiskShim } from './disk-shim.ts'
import type { NamespaceNetwork } from './namespaces.ts'
import { NodeProcess, compileAhead } from './node-process.ts'

/** May do everything; the suites' own. */
export const admin: User = { name: 'admin', password: 'correct horse battery staple', permissions: ['all'] }

/**
 * Flags for suites that are not about elections by silence: on a busy machine a node may stand still for seconds, and an election leaves open what became of the writes into which it
 * falls. A leader that is killed is missed at once all the same.
 */
export const patientTimers: readonly string[] = [renderFlag('raft-heartbeat-timeout', 5_000), renderFlag('raft-election-timeout', 5_000)]

export interface ClusterOptions {
  /** Nodes that form the cluster. */
  readonly nodes: number
  /** Nodes for which everything is made, but which are not started: they may join later, under an id of their own. */
  readonly spares?: number
  /** Besides `admin`. */
  readonly users?: readonly User[]
  /** Further arguments for every node, before the data directory. */
  readonly flags?: readonly string[]
  /** Each node in a namespace of its own; loopback when absent. The caller closes it. */
  readonly network?: NamespaceNetwork
  /** Built below the given folder; undefined: the disk as it is. */
  readonly shim?: (folder: string) => DiskShim | undefined
}

// A loaded two-core machine that starts three processes at once needs seconds for each; this only ends what hangs.
const readyDeadlineMs = 240_000
const namespaceApiPort = 4001
const namespaceRaftPort = 4002

export class ClusterOfProcesses {
  readonly files: ClusterFiles
  /** Members, in the order of their ids; `replace` puts a spare in a member's place. */
  readonly nodes: NodeProcess[]
  readonly shim: DiskShim | undefined
  readonly #spares: NodeProcess[]
  readonly #clients: ApiClient[] = []

  private constructor(
    files: ClusterFiles,
    nodes: readonly NodeProcess[],
    options: { readonly members: number; readonly shim: DiskShim | undefined },
  ) {
    this.files = files
    this.nodes = nodes.slice(0, options.members)
    this.#spares = nodes.slice(options.members)
    this.shim = options.shim
  }

  /** Starts every node and waits until each is ready (it knows a leader and serves reads). */
  static async start(options: ClusterOptions): Promise<ClusterOfProcesses> {
    const cluster = await ClusterOfProcesses.prepare(options)
    try {
      for (const node of cluster.nodes) node.start()
      await cluster.whenReady()
      return cluster
    } catch (error) {
      await cluster.close()
      throw new Error(`the cluster did not get ready: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }

  /** Everything but the start. */
  static async prepare(options: ClusterOptions): Promise<ClusterOfProcesses> {
    const count = options.nodes + (options.spares ?? 0)
    const { network } = options
    const hosts = network === undefined ? undefined : Array.from({ length: count }, () => network.add())
    const files = makeClusterFiles({
      nodes: count,
      users: [admin, ...(options.users ?? [])],
      ...(hosts === undefined ? {} : { addresses: hosts }),
    })
    const ports = network === undefined ? await freePorts(count * 2) : []
    const endpoints = files.nodes.map((_, position) => ({
      host: hosts?.[position] ?? '127.0.0.1',
      apiPort: ports[position] ?? namespaceApiPort,
      raftPort: ports[count + position] ?? namespaceRaftPort,
    }))
    const addresses = endpoints.map(({ host, raftPort }) => `${host}:${raftPort}`)
    const shim = options.shim?.(files.folder)
    const compiled = await compileAhead(join(files.folder, 'compile-cache'))
    const nodes = files.nodes.map((node, position) => {
      const endpoint = endpoints[position] ?? { host: '127.0.0.1', apiPort: 0, raftPort: 0 }
      const isFounder = position < options.nodes
      const argv = argumentsOf(files, node, {
        endpoint,
        // Who comes later asks everyone: by then none of the founders may be left.
        join: isFounder ? addresses.slice(0, options.nodes) : addresses.filter((_, other) => other !== position),
        bootstrapExpect: isFounder ? options.nodes : undefined,
        flags: options.flags ?? [],
      })
      return new NodeProcess({
        id: node.id,
        host: endpoint.host,
        apiPort: endpoint.apiPort,
        arguments: argv,
        logFile: node.logFile,
        ...(network === undefined ? {} : { launcher: network.launcherOf(position) }),
        environment: { ...compiled, ...shim?.environmentOf(node.id) },
      })
    })
    return new ClusterOfProcesses(files, nodes, { members: options.nodes, shim })
  }

  /** A client of one node as `user`, closed with the cluster. */
  client(node: NodeProcess, user: Pick<User, 'name' | 'password'> = admin, options: { readonly connectionsMax?: number } = {}): ApiClient {
    const { host, apiPort: port } = node
    const client = new ApiClient({ host, port, ca: this.files.apiCa, username: user.name, password: user.password, ...options })
    this.#clients.push(client)
    return client
  }

  /** Waits until the given nodes (all members, when none are given) know a leader and serve. A node that ends meanwhile fails the wait at once. */
  async whenReady(nodes: readonly NodeProcess[] = this.nodes): Promise<void> {
    await Promise.all(
      nodes.map(async (node) => {
        const client = new ApiClient({ host: node.host, port: node.apiPort, ca: this.files.apiCa })
        try {
          await waitUntil({ what: `${node.id} is ready`, deadlineMs: readyDeadlineMs, everyMs: 50 }, async () => {
            if (!node.isRunning) throw new Error(`${node.id} ended by itself`)
            const answer = await client.send({ path: '/readyz', timeoutMs: 5000 })
            return answer.kind === 'reply' && answer.status === 200 ? true : undefined
          }).catch((error: Error) => {
            throw new Error(`${error.message}\n${this.logTails()}`, { cause: error })
          })
        } finally {
          client.close()
        }
      }),
    )
  }

  /** The ends of all members' logs, for reports of failures: `close` removes them. */
  logTails(): string {
    return this.nodes.map((node) => `--- the end of ${node.id}'s log\n${node.logTail(40)}`).join('\n')
  }

  /** The node that the others take for the leader; undefined while nobody knows one. */
  async leader(): Promise<NodeProcess | undefined> {
    for (const node of this.nodes) {
      const leaderId = (await this.store(node))?.leader.node_id
      const leader = this.nodes.find(({ id }) => id === leaderId)
      if (leader !== undefined) return leader
    }
    return undefined
  }

  /** Waits until one that runs is known: on a busy machine there may be an election at any moment. */
  whoLeads(): Promise<NodeProcess> {
    return waitUntil({ what: 'a leader', deadlineMs: readyDeadlineMs, everyMs: 50 }, async () => {
      const leader = await this.leader()
      return leader?.isRunning === true ? leader : undefined
    })
  }

  /** What a node says of itself; undefined: it does not answer. */
  async store({ isRunning, host, apiPort: port }: NodeProcess): Promise<NodeStatus['store'] | undefined> {
    if (!isRunning) return undefined
    const client = new ApiClient({ host, port, ca: this.files.apiCa, username: admin.name, password: admin.password })
    const answer = await client.send({ path: '/status', timeoutMs: 5000 })
    client.close()
    return answer.kind === 'reply' && answer.status === 200 ? nodeStatus.parse(JSON.parse(answer.body)).store : undefined
  }

  /** A spare takes the place of `node`, whose process must have ended; the caller removes the old member from the cluster and starts the new one. */
  replace(node: NodeProcess): NodeProcess {
    const spare = this.#spares.shift()
    const position = this.nodes.indexOf(node)
    if (spare === undefined || position < 0) throw new Error(`there is no spare for ${node.id}`)
    this.nodes[position] = spare
    return spare
  }

  get spares(): number {
    return this.#spares.length
  }

  filesOf(node: NodeProcess): NodeFiles {
    const files = this.files.nodes.find(({ id }) => id === node.id)
    if (files === undefined) throw new Error(`no files of ${node.id}`)
    return files
  }

  /** Ends every process and removes every file. */
  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    await Promise.all(this.nodes.filter((node) => node.isRunning).map((node) => node.end('SIGKILL')))
    // Processes that a killed node had started for its reads see that it is gone a moment later, and may still make a file.
    rmSync(this.files.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }
}

function argumentsOf(
  files: ClusterFiles,
  node: NodeFiles,
  options: {
    readonly endpoint: { readonly host: string; readonly apiPort: number; readonly raftPort: number }
    readonly join: readonly string[]
    /** Undefined: it joins a running cluster, as the suite's administrator. */
    readonly bootstrapExpect: number | undefined
    readonly flags: readonly string[]
  },
): readonly string[] {
  const { endpoint, join, bootstrapExpect } = options
  return [
    renderFlag('node-id', node.id),
    renderFlag('http-addr', `${endpoint.host}:${endpoint.apiPort}`),
    renderFlag('raft-addr', `${endpoint.host}:${endpoint.raftPort}`),
    renderFlag('http-cert', node.httpCert),
    renderFlag('http-key', node.httpKey),
    renderFlag('http-ca-cert', files.apiCaFile),
    renderFlag('node-cert', node.nodeCert),
    renderFlag('node-key', node.nodeKey),
    renderFlag('node-ca-cert', files.nodeCaFile),
    renderFlag('node-verify-client', true),
    renderFlag('auth', files.accessFile),
    renderFlag('join', join),
    ...(bootstrapExpect === undefined ? [renderFlag('join-as', joiner.username)] : [renderFlag('bootstrap-expect', bootstrapExpect)]),
    ...options.flags,
    node.dataDir,
  ]
}
