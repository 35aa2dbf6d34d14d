// What may happen to a running cluster, from a seed: each fault is a value first, so that it can be printed, and then carried out. Never more than a minority of the
// nodes is struck at a time, except where a fault says so; each returns when everything is healed and every node serves again.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { waitUntil } from '../apiserver/wait-until.ts'
import { untilDatabasesAgree } from './content-checks.ts'
import type { ClusterOfProcesses } from './cluster-of-processes.ts'
import type { NamespaceNetwork } from './namespaces.ts'
import type { NodeProcess } from './node-process.ts'

export const faultKinds = [
  'kill',
  'kill-all',
  'pause',
  'isolate',
  'cut-one-way',
  'cut-partly',
  'flap',
  'slow-disk',
  'failing-disk',
  'flip-log',
  'flip-database',
  'cut-log',
  'wipe',
  'restart-all',
  'compact',
  'transfer',
] as const
export type FaultKind = (typeof faultKinds)[number]

export interface Fault {
  readonly kind: FaultKind
  readonly node: number
  readonly other: number
  readonly lastMs: number
  /** From 0 up to 1: where in a file, how much of it. */
  readonly where: number
}

export interface FaultGround {
  readonly cluster: ClusterOfProcesses
  /** Undefined: no namespaces on this machine. */
  readonly network: NamespaceNetwork | undefined
  readonly say: (line: string) => void
}

/** The default election timeout is a second; a fault lasts from a moment to several of them. */
const lastMsMin = 200
const lastMsMax = 6_000
// It only ends what hangs: the machine may be loaded.
const endDeadlineMs = 180_000

export function possibleFaults(ground: Pick<FaultGround, 'cluster' | 'network'>): readonly FaultKind[] {
  const needsNetwork: readonly FaultKind[] = ['isolate', 'cut-one-way', 'cut-partly', 'flap']
  const needsShim: readonly FaultKind[] = ['slow-disk', 'failing-disk']
  return faultKinds.filter(
    (kind) =>
      (ground.network !== undefined || !needsNetwork.includes(kind)) && (ground.cluster.shim !== undefined || !needsShim.includes(kind)),
  )
}

/** Kinds come in shuffled rounds, so that a short run has seen each. */
export function* faultsOf(
  random: () => number,
  options: { readonly kinds: readonly FaultKind[]; readonly nodes: number },
): Generator<Fault> {
  for (;;) {
    const round = [...options.kinds]
    while (round.length > 0) {
      const [kind = 'kill'] = round.splice(Math.floor(random() * round.length), 1)
      const node = Math.floor(random() * options.nodes)
      const other = (node + 1 + Math.floor(random() * (options.nodes - 1))) % options.nodes
      yield { kind, node, other, lastMs: Math.round(lastMsMin + random() * (lastMsMax - lastMsMin)), where: random() }
    }
  }
}

export async function strikeWith(ground: FaultGround, fault: Fault): Promise<void> {
  const { cluster, network } = ground
  const node = at(cluster, fault.node)
  switch (fault.kind) {
    case 'kill':
      await node.end('SIGKILL')
      await delay(fault.lastMs)
      return await startAgain(cluster, [node])
    case 'kill-all':
      await Promise.all(cluster.nodes.map((each) => each.end('SIGKILL')))
      return await startAgain(cluster, cluster.nodes)
    case 'pause':
      node.pause()
      await delay(fault.lastMs)
      node.resume()
      return await cluster.whenReady()
    case 'isolate':
      for (const position of cluster.nodes.keys()) cutBoth(network, fault.node, position)
      return await healAfter(ground, fault.lastMs)
    case 'cut-one-way':
      network?.cut(fault.node, fault.other)
      return await healAfter(ground, fault.lastMs)
    case 'cut-partly':
      cutBoth(network, fault.node, fault.other)
      return await healAfter(ground, fault.lastMs)
    case 'flap':
      for (let time = 0; time < 5; time += 1) {
        cutBoth(network, fault.node, fault.other)
        await delay(fault.lastMs / 10)
        network?.heal()
        await delay(fault.lastMs / 10)
      }
      return await cluster.whenReady()
    case 'slow-disk':
      cluster.shim?.slow(node.id, Math.round(20 + fault.where * 400))
      await delay(fault.lastMs)
      cluster.shim?.heal(node.id)
      return await cluster.whenReady()
    case 'failing-disk':
      return await failDisk(ground, node)
    case 'flip-log':
    case 'flip-database':
    case 'cut-log':
      // Of a database that was closed nothing stands in the WAL, which would hide most of what is flipped in the file.
      await node.end(fault.kind === 'flip-database' ? 'SIGTERM' : 'SIGKILL')
      damage(cluster.filesOf(node).dataDir, fault)
      await startAgain(cluster, [node])
      await untilLogIsWhole(cluster, node)
      await cluster.whenReady()
      // Until it has been found this node's word about its data is worth nothing: a flip in each file, and no majority would have the same.
      if (fault.kind === 'flip-database') await findFlip(ground)
      return
    case 'wipe':
      return await replaceNode(ground, node)
    case 'restart-all':
      for (const each of cluster.nodes) {
        const { code } = await each.end('SIGTERM')
        if (code !== 0) throw new Error(`${each.id} ended with ${String(code)} on SIGTERM:\n${each.logTail()}`)
        await startAgain(cluster, [each])
      }
      return
    case 'compact':
    case 'transfer':
      await ask(cluster, node, fault.kind === 'compact' ? '/snapshot?trailing_logs=64' : '/leader')
      return
  }
}

function at(cluster: ClusterOfProcesses, position: number): NodeProcess {
  const node = cluster.nodes[position]
  if (node === undefined) throw new Error(`there is no node ${position}`)
  return node
}

async function startAgain(cluster: ClusterOfProcesses, nodes: readonly NodeProcess[]): Promise<void> {
  for (const node of nodes) node.start()
  await cluster.whenReady()
}

function cutBoth(network: NamespaceNetwork | undefined, a: number, b: number): void {
  network?.cut(a, b)
  network?.cut(b, a)
}

async function healAfter(ground: FaultGround, ms: number): Promise<void> {
  await delay(ms)
  ground.network?.heal()
  await ground.cluster.whenReady()
}

/** A node whose disk refuses must end by itself, and say with which code. */
async function failDisk({ cluster }: FaultGround, node: NodeProcess): Promise<void> {
  cluster.shim?.fail(node.id)
  // Whatever is written next fails; the writers see to that.
  const ended = await Promise.race([node.ended(), delay(endDeadlineMs, undefined)])
  cluster.shim?.heal(node.id)
  if (ended === undefined)
    throw new Error(`${node.id} went on although its disk had refused for ${endDeadlineMs / 1000} s:\n${node.logTail()}`)
  await startAgain(cluster, [node])
}

/** Of a stopped node: one byte of the log or the database is changed, or the end of the log is missing. */
function damage(dataDir: string, fault: Fault): void {
  const path = fault.kind === 'flip-database' ? join(dataDir, 'db.sqlite') : newestSegment(join(dataDir, 'raft'))
  if (path === undefined || !existsSync(path)) return
  const length = statSync(path).size
  if (fault.kind === 'cut-log') return truncateSync(path, Math.max(64, Math.floor(length * (0.5 + fault.where / 2))))
  const bytes = readFileSync(path)
  const position = Math.floor(length * fault.where)
  bytes[position] = (bytes[position] ?? 0) ^ 0x10
  writeFileSync(path, bytes)
}

const log = z.object({ store: z.object({ raft: z.object({ last_log_index: z.number(), commit_index: z.number(), trust: z.string() }) }) })

/**
 * The leader may find out only from the answers to its first messages that something is missing: until this node has everything that was committed by now, an acknowledged write
 * may stand on a single disk, and that one must not be next.
 */
async function untilLogIsWhole(cluster: ClusterOfProcesses, node: NodeProcess): Promise<void> {
  const logOf = async (of: NodeProcess): Promise<z.infer<typeof log>['store']['raft'] | undefined> => {
    const answer = await cluster.client(of).send({ path: '/status' })
    return answer.kind === 'reply' && answer.status === 200 ? log.parse(JSON.parse(answer.body)).store.raft : undefined
  }
  const committed = await waitUntil(
    { what: 'what is committed', deadlineMs: endDeadlineMs },
    async () => (await logOf(await cluster.whoLeads()))?.commit_index,
  )
  await waitUntil({ what: `${node.id} has everything again`, deadlineMs: endDeadlineMs }, async () => {
    const own = await logOf(node)
    return own !== undefined && own.trust === 'trusted' && own.last_log_index >= committed ? true : undefined
  })
}

async function findFlip({ cluster, say }: FaultGround): Promise<void> {
  const clients = cluster.nodes.map((node) => cluster.client(node))
  const { rounds, mended } = await untilDatabasesAgree(clients)
  for (const client of clients) client.close()
  say(mended > 0 ? `a flipped byte was found, ${mended} rebuilt in ${rounds} rounds` : `the flipped byte changed nothing that counts`)
}

function newestSegment(folder: string): string | undefined {
  const name = readdirSync(folder)
    .filter((each) => each.endsWith('.segment'))
    .toSorted()
    .at(-1)
  return name === undefined ? undefined : join(folder, name)
}

/** The volume is lost: the member is removed, and another one with an empty directory and an id of its own joins. */
async function replaceNode({ cluster, say }: FaultGround, node: NodeProcess): Promise<void> {
  if (cluster.spares === 0) return
  await node.end('SIGKILL')
  rmSync(cluster.filesOf(node).dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  const spare = cluster.replace(node)
  const survivors = cluster.nodes.filter((each) => each !== spare)
  await waitUntil({ what: `${node.id} is removed`, deadlineMs: endDeadlineMs }, async () => {
    for (const survivor of survivors) {
      const answer = await cluster.client(survivor).send({ method: 'DELETE', path: '/remove', body: { id: node.id } })
      if (answer.kind === 'reply' && answer.status === 200) return true
    }
    return undefined
  })
  spare.start()
  await cluster.whenReady()
  // As long as it has no vote, the cluster cannot do without one of the others.
  await waitUntil({ what: `${spare.id} has a vote`, deadlineMs: endDeadlineMs }, async () => {
    const members = (await cluster.store(await cluster.whoLeads()))?.nodes
    return members?.some(({ id, suffrage }) => id === spare.id && suffrage === 'voter') === true ? true : undefined
  })
  say(`${spare.id} has taken the place of ${node.id}`)
}

async function ask(cluster: ClusterOfProcesses, node: NodeProcess, path: string): Promise<void> {
  const answer = await cluster.client(node).send({ method: 'POST', path, body: {} })
  // Without a leader at this very moment it is refused; that is no fault.
  if (answer.kind === 'reply' && answer.status >= 400 && answer.status !== 503) throw new Error(`${path}: ${answer.status} ${answer.body}`)
}
