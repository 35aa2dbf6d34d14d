// What outlives a restart, and what is answered without a leader. These run last: they end nodes.
import assert from 'node:assert/strict'
import { waitUntil } from '../apiserver/wait-until.ts'
import type { ContractCase } from './contract-place.ts'

export const afterARestart: readonly ContractCase[] = [
  {
    title: 'last_insert_id and rows_affected are those of one long-lived connection, also after the leader was killed',
    run: async (place) => {
      await place.settle()
      await place.execute(['CREATE TABLE longlived (id INTEGER PRIMARY KEY)'])
      await place.execute(['INSERT INTO longlived VALUES(7), (8), (9)'])
      const { leader } = place
      await leader.end('SIGKILL')
      if (place.kind === 'one-node') leader.start()
      await place.settle()
      const shown = '{"last_insert_id":9,"rows_affected":3}'
      assert.equal(await place.execute(['CREATE TABLE afterwards (id INTEGER)']), `{"results":[${shown}]}`)
      assert.equal(await place.execute(['DROP TABLE afterwards', 'SELECT 1']), `{"results":[${shown},${shown}]}`)
      assert.equal(await place.execute(['DELETE FROM longlived WHERE id = 8']), '{"results":[{"last_insert_id":9,"rows_affected":1}]}')
      if (place.kind === 'follower') leader.start()
      await place.settle()
    },
  },
  {
    title: 'without a leader /readyz is 503, but not with noleader, and /nodes and /status still answer',
    only: 'follower',
    run: async (place) => {
      await place.settle()
      await Promise.all(place.cluster.nodes.filter((node) => node !== place.asked).map((node) => node.end('SIGKILL')))
      const last = await waitUntil({ what: 'the node gives its leader up', deadlineMs: 120_000, everyMs: 50 }, async () => {
        const ready = await place.ask('/readyz?timeout=1s')
        if (ready.status === 200) return undefined
        assert.match(ready.body, /^\[\+\]node ok\n\[\+\]leader (does not exist|not contactable: .+)$/)
        return ready.body.endsWith('exist') ? ready : undefined
      })
      assert.equal(last.status, 503)
      const refused = await place.post('/db/execute?timeout=200ms', ['INSERT INTO longlived VALUES(1)'])
      assert.equal(refused.headers['x-securesql-code'], 'leader_unknown')
      assert.deepEqual(await place.ask('/readyz?noleader').then(({ status, body }) => [status, body]), [200, '[+]node ok'])
      assert.equal((await place.ask('/status')).status, 200)
      const nodes = JSON.parse((await place.ask('/nodes?timeout=1s')).body) as Readonly<Record<string, { readonly reachable: boolean }>>
      assert.deepEqual(Object.values(nodes).filter(({ reachable }) => reachable).length, 1)
      assert.equal(await place.values('SELECT id FROM longlived', '?level=none'), '[7],[9]')
    },
  },
  {
    title: 'leader not found is answered with 503 in rqlite’s words; a node waits for one until its deadline, unlike rqlite',
    only: 'follower',
    run: async (place) => {
      for (const path of [
        '/db/execute?timeout=0',
        '/db/query?timeout=0',
        '/db/request?timeout=0',
        '/db/query?level=linearizable&timeout=0',
      ]) {
        const answer = await place.post(path, ['SELECT 1'])
        assert.deepEqual([answer.status, answer.body], [503, 'leader not found\n'], path)
      }
      assert.deepEqual(await place.ask('/leader?timeout=0').then(({ status, body }) => [status, body]), [503, 'leader not found\n'])
    },
  },
]
