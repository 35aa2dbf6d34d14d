// Each client does the same things, on one cluster: users with and without rights, every level, through a follower, and while the leader is killed.
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'
import { ClusterOfProcesses, patientTimers } from '../processes/cluster-of-processes.ts'
import type { NodeProcess } from '../processes/node-process.ts'
import type { ClientProgram, ConnectOptions, Level, SqlClient } from './client.ts'
import { connectDiscovering } from './gorqlite.ts'
import type { DiscoveringClient } from './gorqlite.ts'
import { gorqliteSession, suiteClients } from './suite-clients.ts'

const app = { name: 'app', password: 'an application that writes', permissions: ['execute', 'query'] }
// gorqlite asks for the nodes by itself, for which rqlite wants this permission.
const discoverer = { name: 'discoverer', password: 'an application that finds the nodes', permissions: ['execute', 'query', 'status'] }
const reader = { name: 'reader', password: 'an application that only reads', permissions: ['query'] }
// Together they always have a write under way when the leader goes.
const writers = 8
const levels: readonly Level[] = ['none', 'weak', 'linearizable', 'strong']

let cluster: ClusterOfProcesses

before(async () => {
  cluster = await ClusterOfProcesses.start({ nodes: 3, users: [app, discoverer, reader], flags: patientTimers })
})
after(async () => {
  await cluster?.close()
})

async function roles(): Promise<{ readonly leader: NodeProcess; readonly followers: readonly NodeProcess[] }> {
  const leader = await cluster.whoLeads()
  return { leader, followers: cluster.nodes.filter((node) => node !== leader) }
}

interface Credentials {
  readonly name: string
  readonly password: string
}

function optionsOf(nodes: readonly NodeProcess[], user: Credentials): ConnectOptions {
  return { ports: nodes.map(({ apiPort }) => apiPort), caFile: cluster.files.apiCaFile, username: user.name, password: user.password }
}

async function connected<Value>(
  program: ClientProgram,
  nodes: readonly NodeProcess[],
  use: (client: SqlClient) => Promise<Value>,
  user: Credentials = app,
): Promise<Value> {
  return closedAfter(await program.connect(optionsOf(nodes, user)), use)
}

async function closedAfter<Client extends SqlClient, Value>(client: Client, use: (client: Client) => Promise<Value>): Promise<Value> {
  try {
    return await use(client)
  } finally {
    await client.close()
  }
}

for (const { name, program } of suiteClients()) {
  const skip = typeof program === 'string' ? program : false
  const given = program as ClientProgram // what has no program is skipped
  const table = (what: string): string => `${name.replaceAll(/[^a-z]/g, '_')}_${what}`

  describe(name, { skip, concurrency: false }, () => {
    for (const where of ['the leader', 'a follower'] as const) {
      test(`creates, writes values of every kind, and reads them at each level, through ${where}`, async () => {
        const { leader, followers } = await roles()
        await connected(given, where === 'the leader' ? [leader] : followers.slice(0, 1), async (client) => {
          const t = table(where === 'the leader' ? 'kinds' : 'forwarded_kinds')
          await client.execute([`CREATE TABLE ${t} (id INTEGER PRIMARY KEY, t TEXT, r REAL, n INTEGER)`])
          assert.equal(await client.execute([`INSERT INTO ${t}(t, r, n) VALUES (?, ?, ?)`, "ünï ☃ 'quoted' so", 1.5, null]), 1)
          assert.equal(await client.execute([`INSERT INTO ${t}(t, r, n) VALUES (?, ?, ?)`, '', -0.25, 9007199254740991]), 2)
          const rows = [
            { id: 1, t: "ünï ☃ 'quoted' so", r: 1.5, n: null },
            { id: 2, t: '', r: -0.25, n: 9007199254740991 },
          ]
          for (const level of levels.slice(1)) assert.deepEqual(await client.query([`SELECT * FROM ${t} ORDER BY id`], level), rows, level)
          // A follower may hear of a write a moment later.
          await until(async () => (await client.query([`SELECT id FROM ${t}`], 'none')).length === 2)
          assert.deepEqual(await client.query([`SELECT t FROM ${t} WHERE id = ?`, 7], 'weak'), [])
        })
      })
    }

    test('a transaction is all or nothing', async (context) => {
      const { followers } = await roles()
      await connected(given, followers.slice(0, 1), async (client) => {
        if (client.transaction === undefined) return context.skip('this client has no transactions')
        const t = table('transactions')
        await client.execute([`CREATE TABLE ${t} (id INTEGER PRIMARY KEY)`])
        const insert = (id: number) => [`INSERT INTO ${t} VALUES (?)`, id] as const
        await client.transaction([insert(1), insert(2), insert(3)])
        // pyrqlite only logs what fails in it.
        await client.transaction([insert(4), insert(2), insert(5)]).catch(() => {})
        assert.deepEqual(await client.query([`SELECT id FROM ${t} ORDER BY id`], 'strong'), [{ id: 1 }, { id: 2 }, { id: 3 }])
      })
    })

    test('a statement that SQLite refuses is an error with its words', async () => {
      const { leader } = await roles()
      await connected(given, [leader], async (client) => {
        await assert.rejects(client.execute(['INSERT INTO nowhere VALUES (1)']), /no such table: nowhere/)
        await assert.rejects(client.query(['SELECT a FROM nowhere']), /no such table: nowhere/)
        await assert.rejects(client.execute(['BEGIN']), /BEGIN/)
      })
    })

    test('a wrong password, and a right that is missing, are refused', async () => {
      const { followers } = await roles()
      const wrong = { name: app.name, password: 'not this one' }
      await connected(given, followers, (client) => assert.rejects(client.query(['SELECT 1']), /401/), wrong)
      await connected(given, followers, (client) => assert.rejects(client.execute(['CREATE TABLE stolen (x)']), /401/), reader)
      assert.deepEqual(await connected(given, followers, (client) => client.query(['SELECT 1 AS one']), reader), [{ one: 1 }])
    })

    test('queued writes are written, in order', async (context) => {
      const { followers } = await roles()
      await connected(given, followers.slice(0, 1), async (client) => {
        if (client.queue === undefined) return context.skip('this client has no queued writes')
        const t = table('queued')
        await client.execute([`CREATE TABLE ${t} (id INTEGER PRIMARY KEY, n)`])
        const insert = (n: number) => [`INSERT INTO ${t}(n) VALUES (?)`, n] as const
        for (let n = 1; n <= 20; n += 1) await client.queue(insert(n))
        await (client.queueAndWait ?? client.queue)(insert(21))
        const read = () => client.query([`SELECT id, n FROM ${t} ORDER BY id`], 'linearizable')
        if (client.queueAndWait === undefined) await until(async () => (await read()).length === 21)
        assert.deepEqual(
          await read(),
          Array.from({ length: 21 }, (_, at) => ({ id: at + 1, n: at + 1 })),
        )
        // Whoever queues what the gate refuses is told so, with its words.
        await assert.rejects(client.queue(['BEGIN']), /BEGIN/)
        if (client.queueAndWait !== undefined) await assert.rejects(client.queueAndWait(['BEGIN']), /BEGIN/)
      })
    })

    test('while the leader is killed nothing that was acknowledged is lost, nothing is done twice, and writes go on', async () => {
      const { leader, followers } = await roles()
      const t = table('failover')
      await connected(given, followers, (client) => client.execute([`CREATE TABLE ${t} (n TEXT)`]))
      await writeWhileKilled(leader, { title: name, table: t, connect: () => given.connect(optionsOf(followers, app)) })
      await cluster.whenReady()
    })
  })
}

const address = ({ apiPort }: NodeProcess): string => `127.0.0.1:${apiPort}`
const { session, skip: noGorqlite } = gorqliteSession()
const discovering = (nodes: readonly NodeProcess[], user: Credentials): DiscoveringClient =>
  connectDiscovering(session, optionsOf(nodes, user))

describe('gorqlite that asks for the nodes', { skip: noGorqlite, concurrency: false }, () => {
  test('it finds the leader and the other nodes through a follower, if its user may see the status', async () => {
    const { leader, followers } = await roles()
    const known = await closedAfter(discovering(followers, discoverer), async (client) => {
      // A node that was away a moment ago may not be reached at once.
      await until(async () => (await client.nodes()).peers.length === cluster.nodes.length)
      return client.nodes()
    })
    assert.deepEqual([known.leader, known.peers[0]], [address(leader), address(leader)])
    assert.deepEqual([...known.peers].sort(), cluster.nodes.map(address).sort())
    await closedAfter(discovering(followers, app), (client) => assert.rejects(client.query(['SELECT 1']), /401/))
  })

  test('while the leader is killed it goes on with the others, and what it sends again is refused where rows have keys', async () => {
    const { leader, followers } = await roles()
    const connect = (): DiscoveringClient => discovering(followers, discoverer)
    const dead = address(leader)
    // The follower that it asks may be the last one to hear of the new leader; that is an error then.
    const knowsAnotherLeader = (client: DiscoveringClient): Promise<boolean> =>
      client.nodes().then(
        (known) => known.leader !== dead && known.peers.length === 2 && !known.peers.includes(dead),
        () => false,
      )
    // It sends again what it has got no answer to; no server can tell that from another write, a key can.
    await closedAfter(connect(), (client) => client.execute(['CREATE TABLE discovered (n TEXT PRIMARY KEY)']))
    await writeWhileKilled(leader, {
      title: 'gorqlite that asks for the nodes',
      table: 'discovered',
      connect: () => Promise.resolve(connect()),
      afterwards: () => until(() => closedAfter(connect(), knowsAnotherLeader)),
    })
    await cluster.whenReady()
  })
})

interface Writing {
  readonly title: string
  /** Has one column, `n`. */
  readonly table: string
  readonly connect: () => Promise<SqlClient>
  /** While the killed node is still away, and writes go on. */
  readonly afterwards?: () => Promise<void>
}

/** Several connections write while `leader` is killed, and until they have gone on for a while. Then each row that was acknowledged must be there, and each row once. */
async function writeWhileKilled(leader: NodeProcess, { title, table, connect, afterwards }: Writing): Promise<void> {
  const acknowledged: string[] = []
  let failed = 0
  const run = { isOver: false }
  const keepWriting = async (writer: number): Promise<void> =>
    closedAfter(await connect(), async (client) => {
      for (let n = 1; !run.isOver; n += 1) {
        try {
          await client.execute([`INSERT INTO ${table} VALUES (?)`, `${writer}-${n}`])
          acknowledged.push(`${writer}-${n}`)
        } catch {
          failed += 1 // what was refused or is unknown is not sent again: what counts is what stands in the table
        }
      }
    })
  const more = async (): Promise<void> => {
    const wanted = acknowledged.length + writers * 10
    await until(() => Promise.resolve(acknowledged.length >= wanted))
  }
  const writing = Promise.all(Array.from({ length: writers }, (_, writer) => keepWriting(writer)))
  try {
    await more()
    await leader.end('SIGKILL')
    await more()
    await afterwards?.()
  } finally {
    run.isOver = true
    await writing
    if (!leader.isRunning) leader.start()
  }
  const rows = await closedAfter(await connect(), (client) =>
    client.query([`SELECT n, count(*) AS times FROM ${table} GROUP BY n`], 'strong'),
  )
  const times = new Map(rows.map((row) => [row['n'], row['times']]))
  assert.deepEqual(
    acknowledged.filter((one) => !times.has(one)),
    [],
    'acknowledged and lost',
  )
  assert.deepEqual(
    [...times].filter(([, count]) => count !== 1),
    [],
    'done more than once',
  )
  console.log(`${title}: ${acknowledged.length} acknowledged, ${failed} failed, ${times.size} in the table`)
}

async function until(probe: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 120_000
  while (!(await probe())) {
    assert.ok(performance.now() < endMs, 'not seen in time')
    await delay(10)
  }
}
