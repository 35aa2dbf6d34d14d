import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import { raftReports } from './raft-reports.ts'
import { ids, World } from './replica-world.ts'

const sample = (text: string, name: string): number =>
  Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.slice(name.length + 1),
  )

test('a node that fetches a snapshot says so in its log and its metrics, and so does one that differs', async () => {
  const world = new World({ stateHashEveryEntries: 10, compaction: { everyEntries: 5, intervalMs: 500, trailingEntries: 5 } })
  const leader = world.leader()
  const follower = ids.find((id) => id !== leader)!
  world.kill(follower)
  await world.writeMany(40)
  await world.run(3_000)
  const lines: string[] = []
  const metrics = new Metrics()
  world.start(follower)
  world.node(follower).source.fault = () => 'unreachable'
  raftReports({
    replica: world.at(follower),
    logger: makeLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } }),
    metrics,
  })
  const messages = () => lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
  await world.run(3_000)
  const failed = await metrics.render()
  assert(sample(failed, 'securesql_raft_snapshot_fetch_failures_total{code="unreachable"}') > 0)
  assert.equal(sample(failed, 'securesql_raft_snapshots_installed_total'), 0)
  world.node(follower).source.fault = () => undefined
  await world.run(10_000)
  world.node(follower).database.damage()
  await world.writeMany(30)
  await world.run(10_000)
  const text = await metrics.render()
  assert.equal(sample(text, 'securesql_raft_snapshots_installed_total'), 2)
  assert.equal(sample(text, 'securesql_raft_snapshots_received_total'), 2)
  assert.equal(sample(text, 'securesql_raft_divergences_total'), 1)
  assert.equal(sample(text, 'securesql_raft_is_diverged'), 0)
  assert.equal(sample(text, 'securesql_raft_is_removed'), 0)
  assert.equal(sample(text, 'securesql_raft_snapshot_fetch_expected_bytes'), 0)
  assert(sample(text, 'securesql_raft_log_base_index') > 30)
  assert(sample(text, 'securesql_raft_log_bytes') > 0)
  for (const expected of [
    'a snapshot could not be fetched, trying again',
    'fetching a snapshot',
    'snapshot received',
    'a snapshot has replaced the database',
    'the database differs from the cluster’s: nothing is served until a snapshot has replaced it',
    'standing changed',
  ])
    assert(messages().includes(expected), `${expected}: ${messages().join(', ')}`)
})
