// `npm run e2e:processes -- [--kills N] [--minutes M] [--failovers N] [--transfers N] [--large-megabytes N] [--load-megabytes N] [--quorum-loss-seconds N] [--seed S] [--only KINDS] [--judge-figures]`: clusters of
// real processes under load, what can happen to them, and then the question whether anything acknowledged is lost, doubled, or different between the nodes.
// Without options: 200 kills.
import { parseArgs } from 'node:util'
import { openDatabases } from './databases-on-disk.ts'
import { convergedRows } from './checks.ts'
import type { Check } from './checks.ts'
import { ClusterOfProcesses, admin } from './cluster-of-processes.ts'
import { runFailovers } from './failovers.ts'
import { faultKinds } from './faults.ts'
import { runLargeDatabase } from './large-database.ts'
import { runLargeLoad } from './large-load.ts'
import { killsOf, planDisasters, strike } from './nemesis.ts'
import { runQuorumLoss } from './quorum-loss.ts'
import { makeTables, runRandomFaults } from './random-faults.ts'
import { keepReading } from './read-checker.ts'
import type { ReadReport } from './read-checker.ts'
import { seededRandom } from './seeded-random.ts'
import { WriteHistory } from './write-history.ts'
import { keepWriting } from './writer.ts'

const count = { type: 'string', default: '0' } as const
const { values } = parseArgs({
  options: {
    kills: count,
    minutes: count,
    failovers: count,
    transfers: count,
    'large-megabytes': count,
    'load-megabytes': count,
    'quorum-loss-seconds': count,
    seed: { type: 'string' },
    writers: { type: 'string', default: '6' },
    only: { type: 'string' },
    'judge-figures': { type: 'boolean', default: false },
  },
})
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
const writers = whole('writers', values.writers)
const minutes = Number(values.minutes)
const failovers = whole('failovers', values.failovers)
const transfers = whole('transfers', values.transfers)
const megabytes = whole('large-megabytes', values['large-megabytes'])
const loadMegabytes = whole('load-megabytes', values['load-megabytes'])
const quorumLossSeconds = whole('quorum-loss-seconds', values['quorum-loss-seconds'])
const isDefault = minutes + failovers + transfers + megabytes + loadMegabytes + quorumLossSeconds === 0
const killsWanted = whole('kills', values.kills) || (isDefault ? 200 : 0)
const kinds = values.only?.split(',').map((text) => {
  const kind = faultKinds.find((known) => known === text)
  if (kind === undefined) throw new Error(`--only: ${text} is none of ${faultKinds.join(', ')}`)
  return kind
})
const nodes = 3
// After the last kill the cluster must serve every writer again, by itself. It only ends what hangs: the machine may be loaded.
const serviceDeadlineMs = 180_000
const say = (line: string): void => console.log(`e2e:processes: ${line}`)

const startedMs = performance.now()
say(`seed ${seed} (the same again: --seed ${seed})`)
const checks: readonly Check[] = [
  ...(await part(killsWanted > 0, `${killsWanted} kills, ${writers} writers`, runKills)),
  ...(await part(minutes > 0, `${minutes} minutes of random faults`, () =>
    runRandomFaults({ minutes, seed, say, ...(kinds === undefined ? {} : { kinds }) }),
  )),
  ...(await part(failovers + transfers > 0, `${failovers} failovers, ${transfers} transfers`, () =>
    runFailovers({ failovers, transfers, say }),
  )),
  ...(await part(quorumLossSeconds > 0, `no quorum for ${quorumLossSeconds} s`, () => runQuorumLoss({ seconds: quorumLossSeconds, say }))),
  ...(await part(megabytes > 0, `a database of ${megabytes} MB`, () => runLargeDatabase({ megabytes, say }))),
  ...(await part(loadMegabytes > 0, `a file of ${loadMegabytes} MB, a follower killed`, () =>
    runLargeLoad({ megabytes: loadMegabytes, victim: 'follower', say }),
  )),
]
const hasFailed = ({ faults, isFigure }: Check): boolean => faults.length > 0 && (isFigure !== true || values['judge-figures'])
for (const check of checks) {
  const word = check.faults.length === 0 ? 'ok     ' : hasFailed(check) ? 'FAILED ' : 'missed '
  say(`${word} ${check.title}${check.faults.map((fault) => `\n    ${fault}`).join('')}`)
}
const failed = checks.filter(hasFailed).length
say(`${((performance.now() - startedMs) / 1000).toFixed(0)} s`)
console.log(`${checks.length - failed} passed, ${failed} failed`)
// At once: nothing that a part has left behind may keep the suite from ending.
process.exit(failed === 0 ? 0 : 1)

function whole(name: string, text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 0) return value
  console.error(`--${name} takes a whole number`)
  process.exit(2)
}

/** A part that fails half-way is one failed check; the other parts go on. */
async function part(isWanted: boolean, what: string, run: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  if (!isWanted) return []
  say(what)
  return await run().catch((error: unknown): readonly Check[] => [
    { title: `${what}: runs to its end`, faults: [error instanceof Error ? (error.stack ?? error.message) : String(error)] },
  ])
}

async function runKills(): Promise<readonly Check[]> {
  const cluster = await ClusterOfProcesses.start({ nodes })
  try {
    say(`three nodes ready after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
    return await killUnderLoad(cluster)
  } catch (error) {
    say(cluster.logTails())
    throw error
  } finally {
    await cluster.close()
  }
}

async function killUnderLoad(cluster: ClusterOfProcesses): Promise<readonly Check[]> {
  const clients = cluster.nodes.map((node) => cluster.client(node))
  await makeTables(cluster)
  const random = seededRandom(seed)
  const history = new WriteHistory(writers)
  let stopped = false
  const isStopped = (): boolean => stopped
  const shared = { clients: () => clients, history, isStopped }
  const writing = Array.from({ length: writers }, (_, writer) =>
    keepWriting({ ...shared, writer, random: seededRandom(seed + writer + 1) }),
  )
  const reading = keepReading({ ...shared, random: seededRandom(seed - 1) })
  // A writer or reader that throws has seen what must not be: it ends the run at once.
  const load = Promise.all([reading, ...writing])
  try {
    await Promise.race([killAll(cluster, random, history), load])
    await Promise.race([untilEachWrites(history), load])
  } finally {
    stopped = true
  }
  const [reads] = await load
  return await judge(cluster, history, reads)
}

async function killAll(cluster: ClusterOfProcesses, random: () => number, history: WriteHistory): Promise<void> {
  let kills = 0
  for (const disaster of planDisasters(random, { nodes, kills: killsWanted })) {
    await strike(cluster, disaster)
    const before = kills
    kills += killsOf(disaster, nodes)
    if (Math.floor(before / 10) !== Math.floor(kills / 10) || kills >= killsWanted) {
      const { acknowledged, unknown } = history.counts()
      say(
        `${kills} kills, ${acknowledged} writes acknowledged, ${unknown} with an unknown outcome, ${((performance.now() - startedMs) / 1000).toFixed(0)} s`,
      )
    }
  }
}

async function untilEachWrites(history: WriteHistory): Promise<void> {
  const before = history.acknowledgedLast()
  const endMs = performance.now() + serviceDeadlineMs
  while (history.acknowledgedLast().some((n, writer) => n <= (before[writer] ?? 0))) {
    if (performance.now() > endMs) throw new Error(`after the last kill not every writer was served within ${serviceDeadlineMs / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function judge(cluster: ClusterOfProcesses, history: WriteHistory, reads: ReadReport): Promise<readonly Check[]> {
  const { sent, acknowledged, refused, unknown } = history.counts()
  say(
    `writes: ${sent} sent, ${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused; linearizable reads: ${reads.answered} answered, ${reads.unanswered} not`,
  )
  const perNode = await convergedRows(cluster.nodes.map((node) => cluster.client(node, admin)))
  const exits = await Promise.all(cluster.nodes.map(async (node) => ({ id: node.id, exit: await node.end('SIGTERM') })))
  const onDisk = openDatabases(cluster.files.nodes.map(({ dataDir }) => dataDir))
  return [
    { title: 'writes were acknowledged while nodes died', faults: acknowledged > killsWanted ? [] : [`only ${acknowledged}`] },
    { title: 'linearizable reads were answered while nodes died', faults: reads.answered > killsWanted ? [] : [`only ${reads.answered}`] },
    {
      title: 'no linearizable read was older than a write acknowledged before it, or than an earlier read',
      faults: reads.faults.slice(0, 20),
    },
    ...cluster.nodes.map((node, position) => ({
      title: `${node.id} shows every acknowledged write once, and nothing that was not sent`,
      faults: history.faults(perNode[position] ?? []),
    })),
    {
      title: 'every node stops on SIGTERM with exit code 0',
      faults: exits.filter(({ exit }) => exit.code !== 0).map(({ id, exit }) => `${id}: ${JSON.stringify(exit)}`),
    },
    ...onDisk.map(({ rows, integrity }, position) => ({
      title: `the file of n${position + 1} is intact and holds every acknowledged write once, and nothing that was not sent`,
      faults: [...(integrity === 'ok' ? [] : [integrity]), ...history.faults(rows)],
    })),
    {
      title: 'the three databases are equal',
      faults:
        new Set(onDisk.map(({ fingerprint }) => fingerprint)).size === 1
          ? []
          : onDisk.map(({ fingerprint }, position) => `n${position + 1}: ${fingerprint}`),
    },
  ]
}
