// `--minutes M`: every kind of fault that this machine can make, one after the other from a seed, under writers, a linearizable reader and clients of registers; then
// the same questions as after the kills, and the history of the registers before a judge of its own process.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { convergedRows } from './checks.ts'
import type { Check } from './checks.ts'
import { ClusterOfProcesses } from './cluster-of-processes.ts'
import { untilDatabasesAgree } from './content-checks.ts'
import { openDatabases } from './databases-on-disk.ts'
import { DiskShim } from './disk-shim.ts'
import { faultsOf, possibleFaults, strikeWith } from './faults.ts'
import type { FaultKind } from './faults.ts'
import { NamespaceNetwork } from './namespaces.ts'
import { keepReading } from './read-checker.ts'
import { RegisterClients } from './register-clients.ts'
import { seededRandom } from './seeded-random.ts'
import { sureWrite } from './sure-write.ts'
import { WriteHistory } from './write-history.ts'
import { keepWriting } from './writer.ts'

const nodes = 3
const writers = 4
const registerClients = 6
const spares = 40
/** Histories are cut so that each is judged in no time (register-clients.ts). It only ends what hangs: the machine may be loaded. */
const judgeMsMax = 300_000

export interface RandomFaultsOptions {
  readonly minutes: number
  readonly seed: number
  readonly say: (line: string) => void
  /** Only these; all that are possible when absent. */
  readonly kinds?: readonly FaultKind[]
}

export async function runRandomFaults(options: RandomFaultsOptions): Promise<readonly Check[]> {
  const { say } = options
  const network = NamespaceNetwork.open()
  if ('unavailable' in network) say(`no partitions: ${network.unavailable}`)
  const usable = 'unavailable' in network ? undefined : network
  const cluster = await ClusterOfProcesses.start({
    nodes,
    spares,
    flags: ['-raft-snap', '2000', '-raft-snap-int', '2s'],
    ...(usable === undefined ? {} : { network: usable }),
    shim: (folder) => {
      const shim = DiskShim.build(folder)
      if (!('unavailable' in shim)) return shim
      say(`no slow or failing disk: ${shim.unavailable}`)
      return undefined
    },
  })
  try {
    return await strikeUnderLoad(cluster, usable, options)
  } catch (error) {
    say(cluster.logTails())
    throw error
  } finally {
    await cluster.close()
    usable?.close()
  }
}

async function strikeUnderLoad(
  cluster: ClusterOfProcesses,
  network: NamespaceNetwork | undefined,
  options: RandomFaultsOptions,
): Promise<readonly Check[]> {
  await makeTables(cluster)
  const random = seededRandom(options.seed)
  const history = new WriteHistory(writers)
  const historyFile = join(cluster.files.folder, 'registers.jsonl')
  const registers = new RegisterClients(historyFile)
  let stopped = false
  const isStopped = (): boolean => stopped
  const known = new Map<string, ReturnType<ClusterOfProcesses['client']>>()
  const clients = (): ReturnType<ClusterOfProcesses['client']>[] =>
    cluster.nodes.map((node) => {
      const client = known.get(node.id) ?? cluster.client(node)
      known.set(node.id, client)
      return client
    })
  const shared = { clients, history, isStopped }
  const load = Promise.all([
    keepReading({ ...shared, random: seededRandom(options.seed - 1) }),
    ...Array.from({ length: writers }, (_, writer) => keepWriting({ ...shared, writer, random: seededRandom(options.seed + 1 + writer) })),
    ...Array.from({ length: registerClients }, (_, n) =>
      registers.keepAsking({ clients, isStopped, random: seededRandom(options.seed + 100 + n) }),
    ),
  ])
  const struck = new Map<FaultKind, number>()
  try {
    await Promise.race([strikeAll(cluster, network, { options, random, struck }), load])
  } finally {
    stopped = true
  }
  const [reads] = await load
  await registers.close()
  const { sent, acknowledged, unknown } = history.counts()
  options.say(
    `writes: ${sent} sent, ${acknowledged} acknowledged, ${unknown} unknown; linearizable reads: ${reads.answered}; registers: ${registers.records}`,
  )
  options.say(`faults: ${Array.from(struck, ([kind, times]) => `${kind} ${times}`).join(', ')}`)
  // What a flipped byte has changed in a file is noticed by whoever reads that page, and that may be nobody yet.
  const checked = await untilDatabasesAgree(clients())
  options.say(`databases read through ${checked.rounds} times, ${checked.mended} rebuilt by what was found`)
  const perNode = await convergedRows(clients())
  for (const node of cluster.nodes) await node.end('SIGTERM')
  const onDisk = openDatabases(cluster.nodes.map((node) => cluster.filesOf(node).dataDir))
  return [
    { title: 'writes were acknowledged under faults', faults: acknowledged > 0 ? [] : ['none'] },
    { title: 'no linearizable read was older than it may be', faults: reads.faults.slice(0, 20) },
    { title: 'every register is linearizable', faults: judge(historyFile, options.say) },
    ...perNode.map((rows, position) => ({
      title: `node ${position + 1} shows every acknowledged write once, and nothing that was not sent`,
      faults: history.faults(rows),
    })),
    ...onDisk.map(({ rows, integrity }, position) => ({
      title: `the file of node ${position + 1} is intact and holds every acknowledged write`,
      faults: [...(integrity === 'ok' ? [] : [integrity]), ...history.faults(rows)],
    })),
    {
      title: 'the databases are equal',
      faults: new Set(onDisk.map(({ fingerprint }) => fingerprint)).size === 1 ? [] : onDisk.map(({ fingerprint }) => fingerprint),
    },
  ]
}

async function strikeAll(
  cluster: ClusterOfProcesses,
  network: NamespaceNetwork | undefined,
  run: { readonly options: RandomFaultsOptions; readonly random: () => number; readonly struck: Map<FaultKind, number> },
): Promise<void> {
  const { options, random, struck } = run
  const possible = possibleFaults({ cluster, network })
  const kinds = options.kinds === undefined ? possible : options.kinds.filter((kind) => possible.includes(kind))
  const endMs = performance.now() + options.minutes * 60_000
  const beganMs = performance.now()
  for (const fault of faultsOf(random, { kinds, nodes })) {
    // A short run has at least one round.
    if (performance.now() > endMs && struck.size === kinds.length) return
    const startMs = performance.now()
    await strikeWith({ cluster, network, say: options.say }, fault)
    struck.set(fault.kind, (struck.get(fault.kind) ?? 0) + 1)
    options.say(
      `${((performance.now() - beganMs) / 1000).toFixed(0)} s: ${fault.kind} of node ${fault.node + 1} over after ${((performance.now() - startMs) / 1000).toFixed(1)} s`,
    )
  }
}

export async function makeTables(cluster: ClusterOfProcesses): Promise<void> {
  const node = cluster.nodes[0]
  if (node === undefined) throw new Error('no node')
  await sureWrite(cluster.client(node), [
    'CREATE TABLE IF NOT EXISTS writes (id INTEGER PRIMARY KEY, writer INTEGER NOT NULL, n INTEGER NOT NULL)',
    'CREATE INDEX IF NOT EXISTS writes_by_writer ON writes(writer, n)',
    'CREATE TABLE IF NOT EXISTS registers (k INTEGER PRIMARY KEY, v INTEGER NOT NULL)',
  ])
}

function judge(file: string, say: (line: string) => void): readonly string[] {
  const judged = spawnSync(process.execPath, [join(import.meta.dirname, 'history-judge.ts'), file], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    timeout: judgeMsMax,
    killSignal: 'SIGKILL',
  })
  if (judged.signal !== null) return [`the judge was ended by ${judged.signal}; it may take ${judgeMsMax / 1000} s`]
  const lines = judged.stdout.trimEnd().split('\n')
  say(lines.at(-1) ?? 'the judge said nothing')
  return judged.status === 0 ? [] : lines.slice(0, 40)
}
