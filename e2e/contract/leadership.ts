// Forwarding, redirects and /leader. That the leader judges anew, and what an unknown outcome is, needs a leader that does what it is told: node/api tests that.
import assert from 'node:assert/strict'
import { waitUntil } from '../apiserver/wait-until.ts'
import { userWith } from './contract-place.ts'
import type { ContractCase, Place } from './contract-place.ts'

async function leaderId(place: Place): Promise<string> {
  const { id } = JSON.parse((await place.ask('/leader')).body) as { readonly id: string }
  return id
}

export const leadership: readonly ContractCase[] = [
  {
    title: 'a follower forwards what only the leader may answer, with the user who asks it',
    only: 'follower',
    run: async (place) => {
      await place.settle()
      const as = userWith('execute')
      const answer = await place.post('/db/execute', ['CREATE TABLE forwarded (id INTEGER)'], { as })
      assert.deepEqual([answer.status, answer.headers['x-rqlite-served-by']], [200, await place.servedBy()])
      assert.equal((await place.post('/db/request', ['CREATE TABLE forwarded2 (id INTEGER)'], { as })).status, 401)
    },
  },
  {
    title: 'redirect sends the client to the leader with path and query, instead of forwarding',
    only: 'follower',
    run: async (place) => {
      await place.settle()
      const leaderUrl = `https://${place.leader.address}`
      for (const [method, path] of [
        ['POST', '/db/execute?redirect&timings'],
        ['GET', '/db/query?redirect=true&q=SELECT%201'],
        ['POST', '/db/request?pretty&redirect'],
        ['DELETE', '/remove?redirect'],
        ['POST', '/leader?redirect'],
      ] as const) {
        const body = path.startsWith('/remove') ? '{"id":"nobody"}' : path.startsWith('/leader') ? '' : '["INSERT INTO nowhere VALUES(1)"]'
        const answer = await place.ask(path, { method, ...(method === 'GET' ? {} : { body }) })
        assert.deepEqual([answer.status, answer.headers.location], [301, `${leaderUrl}${path}`], path)
      }
    },
  },
  {
    title: 'redirect changes nothing on the leader, nor at level none',
    run: async (place) => {
      assert.equal(await place.values('SELECT 1', '?level=none&redirect'), '[1]')
      if (place.kind === 'one-node') assert.equal(await place.values('SELECT 1', '?redirect'), '[1]')
    },
  },
  {
    title: 'remove tells who has served it, too',
    run: async (place) => {
      const answer = await place.ask('/remove', { method: 'DELETE', body: '{"id":"nobody"}' })
      assert.deepEqual([answer.status, answer.headers['x-rqlite-served-by']], [200, await place.servedBy()])
    },
  },
  {
    title: 'GET /leader shows the leader as /nodes does',
    run: async (place) => {
      const shown = JSON.parse((await place.ask('/leader')).body) as Record<string, unknown>
      const { nodes } = JSON.parse((await place.ask('/nodes?ver=2')).body) as { readonly nodes: readonly Record<string, unknown>[] }
      const same = nodes.find(({ leader }) => leader === true)
      for (const key of ['id', 'api_addr', 'addr', 'version', 'voter', 'reachable', 'leader']) assert.equal(shown[key], same?.[key], key)
    },
  },
  {
    title: 'POST /leader hands over to the node that JSON names, and is answered when it leads; a node that there is not is refused',
    only: 'follower',
    run: async (place) => {
      await place.settle()
      const headers = { 'Content-Type': 'application/json' }
      assert.equal((await place.post('/leader', { id: 'nobody' }, { headers })).status, 503)
      const to = place.asked.id
      assert.equal((await place.post('/leader?wait=true', { id: to }, { headers })).status, 200)
      await waitUntil({ what: `${to} leads`, deadlineMs: 120_000, everyMs: 20 }, async () =>
        (await leaderId(place)) === to ? true : undefined,
      )
      await place.settle()
    },
  },
  {
    title: 'POST /leader without a body, or with one that is not sent as JSON, hands over to anyone',
    only: 'follower',
    run: async (place) => {
      await place.settle()
      const before = await leaderId(place)
      assert.equal((await place.post('/leader', '{"id":"nobody"}')).status, 200)
      await waitUntil({ what: 'another leader', deadlineMs: 120_000, everyMs: 20 }, async () =>
        (await leaderId(place)) !== before ? true : undefined,
      )
      await place.settle()
    },
  },
  {
    title: 'the only voter cannot hand over',
    only: 'one-node',
    run: async (place) => {
      assert.equal((await place.post('/leader?timeout=1s', '')).headers['x-securesql-code'], 'transfer_failed')
    },
  },
]
