// The demo, step by step: each does what a person or a program would do and holds the answer against what must be true. Nothing is taken on trust from the
// operator's status that can be asked of the members themselves.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { connectAndWait } from './demo-client.ts'
import type { Answer, Member } from './demo-client.ts'
import { DemoWorld, ownedObjects, resultsOf } from './demo-world.ts'
import type { UserSecret } from './demo-world.ts'
import { DemoWriter } from './demo-writer.ts'

export interface DemoStep {
  readonly title: string
  /** Gives one line to show; throws when the step does not hold. */
  readonly run: (run: DemoRun) => Promise<string>
}

/** What later steps know from earlier ones. */
export interface DemoRun {
  readonly world: DemoWorld
  /** When the resource was applied, on the clock of `performance.now`. */
  readonly appliedAtMs: number
  readonly acknowledged: Set<number>
  killed?: { readonly name: string; readonly term: number }
}

/** From `kubectl apply` to Ready, on a machine that has nothing else to do: shown, not judged, because this one may be busy. */
const readyWantedMs = 15_000
/** It only ends what hangs: the machine may be busy with something else. */
const waitMs = 120_000
/** Rows that must be acknowledged before and after the leader is killed. */
const rowsUnderFire = 10
/** What members ask for when they connect to each other: without it even their own certificate opens nothing. */
const raftProtocol = 'securesql-node'
/** How long a connection that should not be refused is watched. */
const openForMs = 500

export const demoSteps: readonly DemoStep[] = [
  { title: 'objects created', run: objectsCreated },
  { title: 'three nodes up', run: nodesUp },
  { title: 'Ready', run: ready },
  { title: 'a table and rows written as app over HTTPS', run: rowsWritten },
  { title: 'read on another node, level=linearizable', run: rowsRead },
  { title: 'a write by reporting refused', run: writeRefused },
  { title: 'a connection to the Raft port without a certificate refused', run: raftPortRefused },
  { title: 'the leader killed with SIGKILL under a running writer', run: leaderKilled },
  { title: 'every acknowledged row is still there', run: nothingLost },
  { title: 'the killed node is back', run: killedIsBack },
]

async function objectsCreated({ world }: DemoRun): Promise<string> {
  const owned = await world.until('the StatefulSet', waitMs, async () => {
    const objects = await ownedObjects(world)
    return objects.has('StatefulSet') ? objects : undefined
  })
  for (const kind of ['NetworkPolicy', 'Secret', 'Service', 'ServiceAccount'])
    assert.ok(owned.has(kind), `no ${kind} before the StatefulSet`)
  return [...owned].map(([kind, names]) => `${kind} ${names.join(', ')}`).join('\n')
}

async function nodesUp({ world }: DemoRun): Promise<string> {
  const members = await world.members()
  const pids = await world.until('three processes', waitMs, async () => {
    const found = members.map(({ name }) => world.pidOf(name))
    return found.every((pid) => pid !== undefined) ? found : undefined
  })
  assert.equal(new Set(pids).size, world.names.replicas)
  for (const pid of pids) await assertNothingSecret(world, pid)
  return members.map(({ name, host, port }, at) => `${name} https://${host}:${port} pid ${pids[at]}`).join('\n')
}

/** Whoever may list processes sees arguments, and on many systems variables too: no value of any Secret may be there. */
async function assertNothingSecret(world: DemoWorld, pid: number | undefined): Promise<void> {
  const secrets = await world.secretValues()
  assert.ok(secrets.length > 0)
  for (const part of ['cmdline', 'environ']) {
    // Only Linux shows them as files.
    const shown = await readFile(`/proc/${pid}/${part}`, 'utf8').catch(() => '')
    assert.ok(!secrets.some((secret) => shown.includes(secret)), `a Secret in ${part} of the process ${pid}`)
  }
}

async function ready({ world, appliedAtMs }: DemoRun): Promise<string> {
  let why = ''
  const leader = await world
    .until('the condition Ready', waitMs, async () => {
      const status = await world.status()
      ;({ why } = status)
      return status.ready && status.readyReplicas === world.names.replicas ? status.leader : undefined
    })
    .catch((cause: unknown) => {
      throw new Error(`${String(cause)}; the operator says: ${why}`, { cause })
    })
  const tookMs = performance.now() - appliedAtMs
  const isSlow = tookMs >= readyWantedMs
  return `${(tookMs / 1_000).toFixed(1)} s after the apply${isSlow ? ` (a machine with nothing else to do takes less than ${readyWantedMs / 1_000} s)` : ''}; ${leader} leads`
}

async function rowsWritten({ world, acknowledged }: DemoRun): Promise<string> {
  const [, follower] = await byRole(world)
  await execute(world, follower, [['CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)']])
  const insert = 'INSERT INTO orders(id, item) VALUES(?, ?) ON CONFLICT DO NOTHING'
  const rows = ['apples', 'pears', 'plums'].map((item, at) => [insert, at + 1, item])
  await execute(world, follower, rows)
  for (let id = 1; id <= rows.length; id += 1) acknowledged.add(id)
  return `${rows.length} rows through ${follower.name}, a follower`
}

async function rowsRead({ world, acknowledged }: DemoRun): Promise<string> {
  const [, , other] = await byRole(world)
  assert.deepEqual(await readIds(world, other), [...acknowledged])
  return `${acknowledged.size} rows from ${other.name}, which took none of the writes`
}

async function writeRefused({ world, acknowledged }: DemoRun): Promise<string> {
  const [leader] = await byRole(world)
  const body = [['DELETE FROM orders']]
  const { reporting } = world.names
  const refused = await answered(world, leader, { as: reporting, method: 'POST', path: '/db/execute', body })
  assert.equal(refused.status, 401)
  const allowed = await answered(world, leader, { as: reporting, method: 'GET', path: '/db/query?q=SELECT%20count(*)%20FROM%20orders' })
  assert.deepEqual(resultsOf(allowed)[0]?.values, [[acknowledged.size]])
  const stranger = await answered(world, leader, { as: { ...reporting, user: 'app' }, method: 'POST', path: '/db/execute', body })
  assert.equal(stranger.status, 401)
  assert.deepEqual(await readIds(world, leader), [...acknowledged])
  return '401 as rqlite; it may read; its password does not open app'
}

/** Refused without a certificate and with one of the other CA; not refused with the members' own: otherwise the first two would prove nothing. */
async function raftPortRefused({ world }: DemoRun): Promise<string> {
  const { nodeTlsSecret, apiTlsSecret } = world.names
  const [leader] = await byRole(world)
  const endpoint = await world.raftEndpoint(leader.name)
  const pair = async (secret: string): Promise<{ readonly cert: string; readonly key: string }> => ({
    cert: await world.secretText(secret, 'tls.crt'),
    key: await world.secretText(secret, 'tls.key'),
  })
  const without = await connectAndWait(endpoint, { protocol: raftProtocol }, waitMs)
  const foreign = await connectAndWait(endpoint, { ...(await pair(apiTlsSecret)), protocol: raftProtocol }, waitMs)
  const member = await connectAndWait(endpoint, { ...(await pair(nodeTlsSecret)), protocol: raftProtocol }, openForMs)
  assert.equal(without.kind, 'refused')
  assert.equal(foreign.kind, 'refused')
  assert.equal(member.kind, 'open')
  return `${endpoint.host}:${endpoint.port} says ${without.kind === 'refused' ? without.reason : ''}; the API's certificate does not open it either`
}

async function leaderKilled(run: DemoRun): Promise<string> {
  const { world, acknowledged } = run
  const before = await world.until('a leader', waitMs, () => world.leader())
  const pid = world.pidOf(before.name)
  assert.ok(pid !== undefined)
  const writer = new DemoWriter(world, 1_000)
  try {
    const written = (count: number): Promise<true> =>
      world.until(`${count} acknowledged rows`, waitMs, async () => (writer.acknowledged.size >= count ? true : undefined))
    await written(rowsUnderFire)
    process.kill(pid, 'SIGKILL')
    const killedAtMs = performance.now()
    const after = await world.until('a new leader', waitMs, async () => {
      const leader = await world.leader()
      return leader !== undefined && leader.term > before.term ? leader : undefined
    })
    const tookMs = performance.now() - killedAtMs
    await written(writer.acknowledged.size + rowsUnderFire)
    run.killed = before
    return `${before.name} led term ${before.term}; ${after.name} leads term ${after.term}, ${(tookMs / 1_000).toFixed(1)} s later`
  } finally {
    await writer.stop()
    for (const id of writer.acknowledged) acknowledged.add(id)
  }
}

async function nothingLost({ world, acknowledged }: DemoRun): Promise<string> {
  const [leader] = await byRole(world)
  const found = new Set(await readIds(world, leader))
  const lost = [...acknowledged].filter((id) => !found.has(id))
  assert.deepEqual(lost, [], `${lost.length} acknowledged rows are lost`)
  return `${acknowledged.size} acknowledged, ${found.size} found`
}

async function killedIsBack({ world, acknowledged, killed }: DemoRun): Promise<string> {
  const member = (await world.members()).find(({ name }) => name === killed?.name)
  assert.ok(member !== undefined)
  await world.until('all members ready again', waitMs, async () =>
    (await world.status()).readyReplicas === world.names.replicas ? true : undefined,
  )
  const found = new Set(await readIds(world, member))
  assert.ok([...acknowledged].every((id) => found.has(id)))
  return `${member.name} has caught up and answers with all rows`
}

/** The leader, then the others. */
async function byRole(world: DemoWorld): Promise<readonly [Member, Member, Member]> {
  const { name } = await world.until('a leader', waitMs, () => world.leader())
  const members = await world.members()
  const leader = members.find((member) => member.name === name)
  const [first, second] = members.filter((member) => member.name !== name)
  assert.ok(leader !== undefined && first !== undefined && second !== undefined)
  return [leader, first, second]
}

/** What may be carried out twice: it is sent again when an election falls into it, which on a busy machine may be at any moment. */
async function execute(world: DemoWorld, member: Member, body: readonly (readonly unknown[])[]): Promise<void> {
  let said: Answer | undefined
  await world
    .until('a write', waitMs, async () => {
      said = await answered(world, member, { as: world.names.app, method: 'POST', path: '/db/execute', body })
      return resultsOf(said).every(({ error }) => error === undefined) ? true : undefined
    })
    .catch((cause: unknown) => {
      throw new Error(`${member.name} answered ${JSON.stringify(said?.body)}`, { cause })
    })
}

/** Asks again while there is no leader. */
function answered(world: DemoWorld, member: Member, question: Asked): Promise<Answer> {
  const { as, ...asked } = question
  return world.until(`an answer of ${member.name}`, waitMs, async () => {
    const answer = await world.ask(member, as, asked)
    return answer.status === 503 ? undefined : answer
  })
}

type Asked = Parameters<DemoWorld['ask']>[2] & { readonly as: UserSecret }

/** Every row's id in order, as of now: the member asks the leader whether it is up to date before it answers. */
async function readIds(world: DemoWorld, member: Member): Promise<readonly unknown[]> {
  const path = `/db/query?level=linearizable&q=${encodeURIComponent('SELECT id FROM orders ORDER BY id')}`
  const [result] = resultsOf(await answered(world, member, { as: world.names.app, method: 'GET', path }))
  assert.equal(result?.error, undefined)
  return (result?.values ?? []).map((row) => (Array.isArray(row) ? (row as readonly unknown[])[0] : undefined))
}
