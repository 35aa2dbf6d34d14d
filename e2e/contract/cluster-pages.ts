// What a node tells of itself and of its cluster, and what changes it.
import assert from 'node:assert/strict'
import { rqliteMaps } from '../../node/api/rqlite-counters.ts'
import { waitUntil } from '../apiserver/wait-until.ts'
import { userWith } from './contract-place.ts'
import type { ContractCase, Place } from './contract-place.ts'
import { statusKeys } from './status-keys.ts'

type Tree = Readonly<Record<string, unknown>>

async function json(place: Place, path: string): Promise<Tree> {
  const answer = await place.ask(path)
  assert.deepEqual([answer.status, answer.headers['content-type']], [200, 'application/json; charset=utf-8'], path)
  return JSON.parse(answer.body) as Tree
}

/** `a.b.c` for each leaf and each empty object; lists count as leaves. */
function pathsOf(tree: unknown, prefix = ''): readonly string[] {
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) return [prefix]
  return Object.entries(tree).flatMap(([key, value]) => pathsOf(value, prefix === '' ? key : `${prefix}.${key}`))
}

export const clusterPages: readonly ContractCase[] = [
  {
    title: '/nodes is an object by id, and with ver=2 a list of the same; each node is asked whether it is there',
    run: async (place) => {
      const byId = (await json(place, '/nodes')) as Readonly<Record<string, Tree>>
      assert.deepEqual(Object.keys(byId).toSorted(), place.cluster.nodes.map(({ id }) => id).toSorted())
      const { nodes } = await json(place, '/nodes?ver=2')
      assert.ok(Array.isArray(nodes) && nodes.length === place.cluster.nodes.length)
      const known = ['id', 'api_addr', 'addr', 'version', 'voter', 'reachable', 'leader', 'time', 'time_s', 'error']
      for (const [id, node] of Object.entries(byId)) {
        assert.deepEqual(
          Object.keys(node),
          known.filter((key) => key in node),
        )
        assert.deepEqual([node['id'], node['voter'], node['reachable']], [id, true, true])
        assert.match(String(node['api_addr']), /^https:\/\/127\.0\.0\.1:\d+$/)
        assert.match(String(node['addr']), /^127\.0\.0\.1:\d+$/)
      }
      assert.equal(Object.values(byId).filter(({ leader }) => leader === true).length, 1)
      assert.deepEqual(Object.keys(await json(place, '/nodes?nonvoters&timeout=5s')).toSorted(), Object.keys(byId).toSorted())
    },
  },
  {
    title: '/readyz says line by line what is well; sync adds a line, noleader asks for one only',
    run: async (place) => {
      const ready = async (parameters: string): Promise<readonly unknown[]> => {
        const { status, body, headers } = await place.ask(`/readyz${parameters}`)
        return [status, body, headers['content-type']]
      }
      const text = 'text/plain; charset=utf-8'
      assert.deepEqual(await ready(''), [200, '[+]node ok\n[+]leader ok\n[+]store ok\n[+]db ok', text])
      assert.deepEqual(await ready('?sync&timeout=20s'), [200, '[+]node ok\n[+]leader ok\n[+]store ok\n[+]sync ok\n[+]db ok', text])
      assert.deepEqual(await ready('?noleader'), [200, '[+]node ok', text])
    },
  },
  {
    title: '/status has the keys of rqlite that are true here, and no others but those that are named as ours',
    run: async (place) => {
      assert.deepEqual(pathsOf(await json(place, '/status')).toSorted(), statusKeys.toSorted())
    },
  },
  {
    title: '/status?key= gives a part by its dotted name, and an empty object where there is none',
    run: async (place) => {
      assert.equal((await place.ask('/status?key=store.node_id')).body, JSON.stringify(place.asked.id))
      assert.deepEqual(Object.keys(await json(place, '/status?key=store.leader')), ['addr', 'node_id'])
      for (const key of ['nope', 'store.nope', 'store.__proto__']) assert.equal((await place.ask(`/status?key=${key}`)).body, '{}', key)
      assert.equal((await place.ask('/status?key=extensions')).body, '{"names":[]}')
    },
  },
  {
    title: '/status tells no path of a key, no argument, no password and no environment',
    run: async (place) => {
      for (const path of ['/status', '/debug/vars', '/metrics']) {
        assert.doesNotMatch((await place.ask(path)).body, /\.key|\.crt|access\.json|-auth|correct horse|NODE_|PATH/, path)
      }
    },
  },
  {
    title: '/debug/vars has every map of rqlite, and each counter in it is fed by a series that there is',
    run: async (place) => {
      const vars = (await json(place, '/debug/vars')) as Readonly<Record<string, Readonly<Record<string, number>>>>
      assert.deepEqual(Object.keys(vars), [...Object.keys(rqliteMaps), 'securesql'])
      const series = Object.keys(vars['securesql'] ?? {})
      for (const [map, counters] of Object.entries(rqliteMaps)) {
        for (const [name, { metric, where }] of Object.entries(counters)) {
          assert.equal(typeof vars[map]?.[name], 'number', `${map}.${name}`)
          for (const [label, values] of [...Object.entries(where), ['', ['']] as const]) {
            for (const value of values) {
              const found = series.some((one) => one.split('{', 1)[0] === metric && (label === '' || one.includes(`${label}="${value}"`)))
              assert.ok(found, `${map}.${name}: ${metric} ${label}=${value}`)
            }
          }
        }
      }
    },
  },
  {
    title: '/debug/vars counts requests, statements and who was let in; key= gives a map or one counter',
    run: async (place) => {
      const http = async (): Promise<Readonly<Record<string, number>>> =>
        (await json(place, '/debug/vars?key=http'))['http'] as Readonly<Record<string, number>>
      const before = await http()
      await place.query('SELECT 1')
      await place.post('/db/query', ['SELECT 1', 'SELECT 2'])
      await place.ask('/db/query', { as: 'nobody' })
      const now = await http()
      const grown = (name: string): number => (now[name] ?? Number.NaN) - (before[name] ?? 0)
      assert.deepEqual([grown('queries'), grown('query_stmts_rx'), grown('auth_fail'), grown('executions')], [3, 3, 1, 0])
      assert.deepEqual(Object.keys(await json(place, '/debug/vars?key=http.queries')), ['http.queries'])
      assert.equal((await place.ask('/debug/vars?key=cmdline')).body, '{\n\n}\n')
    },
  },
  {
    title: '/licenses holds our licence and those of the dependencies',
    run: async (place) => {
      const { body, headers } = await place.ask('/licenses', { as: userWith('status') })
      assert.equal(headers['content-type'], 'text/plain; charset=utf-8')
      assert.match(body, /^SecureSQL\n[^]*Apache License[^]*better-sqlite3/)
    },
  },
  {
    title: '/snapshot answers 200, or 204 when nothing can go; a number that is none is refused',
    run: async (place) => {
      for (const path of ['/snapshot?trailing_logs=5', '/snapshot'])
        assert.ok([200, 204].includes((await place.post(path, '')).status), path)
      // What another member still lacked at first can go a moment later.
      await waitUntil({ what: 'nothing more to gain', deadlineMs: 120_000, everyMs: 20 }, async () =>
        (await place.post('/snapshot?trailing_logs=5', '')).status === 204 ? true : undefined,
      )
      assert.equal((await place.post('/snapshot?trailing_logs=-1', '')).status, 400)
    },
  },
  {
    title: '/reap has nothing to merge, unlike in rqlite, and says so in its words',
    run: async (place) => {
      assert.equal((await place.post('/reap', '')).body, '{"snapshots_reaped":0,"wals_checkpointed":0}')
    },
  },
  {
    title: '/remove of a node that is no member is done already; another body than {"id": "…"} is refused',
    run: async (place) => {
      const remove = async (body: string): Promise<number> => (await place.ask('/remove', { method: 'DELETE', body })).status
      assert.equal(await remove('{"id":"nobody"}'), 200)
      for (const body of ['', '[]', '{}', '{"id":5}', '{"id":""}', '{"id":"nobody","more":1}']) assert.equal(await remove(body), 400, body)
    },
  },
  {
    title: 'the last voter cannot be removed, unlike in rqlite',
    only: 'one-node',
    run: async (place) => {
      const answer = await place.ask('/remove', { method: 'DELETE', body: JSON.stringify({ id: place.asked.id }) })
      assert.deepEqual([answer.status, answer.headers['x-securesql-code']], [500, 'last_voter'])
    },
  },
]
