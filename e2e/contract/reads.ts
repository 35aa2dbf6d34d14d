// Levels of consistency. What happens when a leader is not confirmed, or a follower not fed, needs a node that does what it is told: node/api tests that.
import assert from 'node:assert/strict'
import { waitUntil } from '../apiserver/wait-until.ts'
import type { ContractCase } from './contract-place.ts'

const waited = { deadlineMs: 120_000, everyMs: 20 } as const

export const reads: readonly ContractCase[] = [
  {
    title: 'weak, linearizable and strong see what was acknowledged before, by query and by request; an unknown level is weak',
    run: async (place) => {
      await place.execute(['CREATE TABLE levels (id INTEGER PRIMARY KEY)'])
      let id = 0
      for (const parameters of [
        '',
        '?level=weak',
        '?level=whatever',
        '?level=linearizable',
        '?level=strong',
        '?level=auto',
        '?level=linearizable&linearizable_timeout=20s',
      ]) {
        id += 1
        await place.execute([['INSERT INTO levels VALUES(?)', id]])
        assert.equal(await place.values('SELECT max(id) FROM levels', parameters), `[${id}]`, parameters)
        assert.match(await place.request(['SELECT max(id) FROM levels'], parameters), new RegExp(`"values":\\[\\[${id}\\]\\]`), parameters)
      }
    },
  },
  {
    title: 'none is answered by the node that is asked, which has everything after a moment',
    run: async (place) => {
      await place.execute(['CREATE TABLE local (id INTEGER)', 'INSERT INTO local VALUES(1)'])
      await waitUntil({ what: 'the row', ...waited }, async () => {
        const answer = await place.ask(`/db/query?level=none&q=${encodeURIComponent('SELECT id FROM local')}`)
        assert.equal(answer.headers['x-rqlite-served-by'], place.asked.address)
        return answer.body.endsWith('"values":[[1]]}]}') ? true : undefined
      })
    },
  },
  {
    title:
      'freshness refuses on a follower that has not heard from its leader for so long, beside empty results; the leader is always fresh',
    run: async (place) => {
      await place.settle()
      const body = await place.query('SELECT 1', '?level=none&freshness=1ns')
      if (place.kind === 'one-node') assert.match(body, /"values":\[\[1\]\]/)
      else assert.equal(body, '{"results":[],"error":"stale read"}')
      assert.equal(await place.values('SELECT 1', '?level=none&freshness=1m'), '[1]')
    },
  },
  {
    title: 'freshness_strict counts by being there, and is answered when what is known to be committed is applied',
    run: async (place) => {
      assert.equal(await place.values('SELECT 1', '?level=none&freshness=30s&freshness_strict=false'), '[1]')
    },
  },
  {
    title: 'freshness does not matter at other levels',
    run: async (place) => {
      assert.equal(await place.values('SELECT 1', '?freshness=1ns'), '[1]')
    },
  },
  {
    title: 'a request that only reads takes the read path, and one that writes goes through the log, in its order',
    run: async (place) => {
      await place.execute(['CREATE TABLE unified (id INTEGER PRIMARY KEY, name TEXT)'])
      const indexOf = (body: string): number => (JSON.parse(body) as { readonly raft_index: number }).raft_index
      const index = async (): Promise<number> => indexOf(await place.query('SELECT 1', '?raft_index&level=linearizable'))
      // The cluster writes an entry of its own now and then; a read that wrote one would do so each time.
      const grown: number[] = []
      do {
        const before = await index()
        for (let times = 0; times < 3; times += 1) await place.request(['SELECT * FROM unified'])
        grown.push((await index()) - before)
      } while (grown.at(-1) !== 0 && grown.length < 20)
      assert.equal(grown.at(-1), 0, `${grown.join(', ')} entries for three reads`)
      assert.equal(
        await place.request([
          "INSERT INTO unified(name) VALUES('a')",
          'SELECT name FROM unified',
          'DELETE FROM unified',
          'SELECT name FROM unified',
        ]),
        '{"results":[{"last_insert_id":1,"rows_affected":1},{"columns":["name"],"types":["text"],"values":[["a"]]},{"last_insert_id":1,"rows_affected":1},{"columns":["name"],"types":["text"]}]}',
      )
    },
  },
]
