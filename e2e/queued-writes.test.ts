// Queued writes in real processes: a node that is stopped writes its queue first, whoever it is, and a node that is killed loses it.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { renderFlag } from '../contract/flags/render-flag.ts'
import { waitUntil } from './apiserver/wait-until.ts'
import { resultsOf } from './processes/api-client.ts'
import { ClusterOfProcesses, patientTimers } from './processes/cluster-of-processes.ts'
import type { NodeProcess } from './processes/node-process.ts'
import { sureWrite } from './processes/sure-write.ts'

/** It only ends what hangs: the machine may be loaded. */
const timeoutMs = 120_000
/** The most that a queue may wait. */
const queueMs = 30_000

const writer = { name: 'writer', password: 'only a writer of queues', permissions: ['execute'] }

describe('queued writes in real processes', () => {
  let cluster: ClusterOfProcesses
  before(async () => {
    // Nothing is written until somebody asks for it.
    const flags = [renderFlag('write-queue-timeout', queueMs), renderFlag('write-queue-batch-size', 100_000), ...patientTimers]
    cluster = await ClusterOfProcesses.start({ nodes: 3, users: [writer], flags })
    const [node] = cluster.nodes
    assert.ok(node !== undefined)
    await sureWrite(cluster.client(node), ['CREATE TABLE IF NOT EXISTS q (node TEXT, n INTEGER)'])
  })
  after(async () => {
    await cluster?.close()
  })

  const queue = async (node: NodeProcess, count: number): Promise<void> => {
    const client = cluster.client(node, writer)
    for (let n = 0; n < count; n += 1) {
      const answer = await client.send({ path: '/db/execute?queue', body: [['INSERT INTO q VALUES (?, ?)', node.id, n]], timeoutMs })
      assert.ok(answer.kind === 'reply', JSON.stringify(answer))
      assert.match(answer.body, /^\{"results":\[\],"sequence_number":\d+\}$/)
    }
  }
  /** Asked of a node that goes on running, until there is a leader that it can ask. */
  const rowsOf = (of: NodeProcess, from: NodeProcess): Promise<unknown> =>
    waitUntil({ what: `${from.id} answers`, deadlineMs: timeoutMs }, async () => {
      const answer = await cluster
        .client(from)
        .send({ path: '/db/query?level=linearizable', body: [['SELECT count(*) FROM q WHERE node = ?', of.id]], timeoutMs })
      return answer.kind === 'reply' ? resultsOf(answer)?.results[0]?.values?.[0]?.[0] : undefined
    })
  const leader = (): Promise<NodeProcess> => cluster.whoLeads()
  const otherThan = (node: NodeProcess): NodeProcess => {
    const other = cluster.nodes.find((known) => known !== node)
    assert.ok(other !== undefined)
    return other
  }

  for (const role of ['follower', 'leader'] as const) {
    test(`a ${role} that is stopped writes its queue first`, async () => {
      const leads = await leader()
      const node = role === 'leader' ? leads : otherThan(leads)
      const beganMs = performance.now()
      await queue(node, 100)
      const written = await rowsOf(node, otherThan(node))
      // Where it takes so long, the queue has been written by then.
      if (performance.now() - beganMs < queueMs) assert.equal(written, 0)
      const { code, signal } = await node.end('SIGTERM')
      assert.deepEqual([code, signal], [0, null])
      assert.equal(await rowsOf(node, otherThan(node)), 100)
      node.start()
      await cluster.whenReady()
    })
  }

  test('while the leader is killed nothing is written twice, and nothing that a flush has confirmed is missing', async () => {
    const leads = await leader()
    const node = otherThan(leads)
    const client = cluster.client(node, writer)
    const confirmed: number[] = []
    let unsure = 0
    let killed: Promise<unknown> | undefined
    for (let batch = 0; batch < 30; batch += 1) {
      const numbers = Array.from({ length: 10 }, (_, at) => batch * 10 + at)
      for (const n of numbers) {
        // `noleader`: it waits in the queue until there is one.
        const queued = await client.send({
          path: '/db/execute?queue&noleader',
          body: [['INSERT INTO q VALUES (?, ?)', 'killed', n]],
          timeoutMs,
        })
        assert.ok(queued.kind === 'reply' && queued.status === 200 && queued.code === undefined, JSON.stringify(queued))
      }
      if (batch === 10) killed = leads.end('SIGKILL')
      const flushed = await client.send({ path: '/db/execute?queue&noleader&wait&timeout=100s', body: [], timeoutMs })
      assert.ok(flushed.kind === 'reply', JSON.stringify(flushed))
      if (flushed.code === undefined) confirmed.push(...numbers)
      else {
        assert.equal(flushed.code, 'outcome_unknown', flushed.body)
        unsure += 1
      }
    }
    await killed
    assert.ok(unsure <= 1, `${unsure} batches of which nobody knows, with one leader killed`)
    const values = await waitUntil({ what: 'the rows', deadlineMs: timeoutMs }, async () => {
      const body = ["SELECT n, count(*) FROM q WHERE node = 'killed' GROUP BY n"]
      const answer = await cluster.client(node).send({ path: '/db/query?level=linearizable', body, timeoutMs })
      return answer.kind === 'reply' ? resultsOf(answer)?.results[0]?.values : undefined
    })
    const times = new Map(values.map(([n, count]) => [n, count]))
    assert.deepEqual(
      [...times].filter(([, count]) => count !== 1),
      [],
      'written more than once',
    )
    assert.deepEqual(
      confirmed.filter((n) => !times.has(n)),
      [],
      'confirmed and missing',
    )
    leads.start()
    await cluster.whenReady()
  })

  test('a flush is over when everything before it is written; a node that is killed before has lost it', async () => {
    const node = otherThan(await leader())
    const before = Number(await rowsOf(node, node))
    await queue(node, 10)
    const flushed = await cluster.client(node, writer).send({ path: '/db/execute?queue&wait&timeout=100s', body: [], timeoutMs })
    assert.ok(flushed.kind === 'reply' && flushed.status === 200)
    assert.equal(await rowsOf(node, otherThan(node)), before + 10)
    await queue(node, 10)
    await node.end('SIGKILL')
    assert.equal(await rowsOf(node, otherThan(node)), before + 10)
    node.start()
    await cluster.whenReady()
  })
})
