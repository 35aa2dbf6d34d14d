// What each parameter does, alone. Those of /db/backup, /db/load and of queued writes stand with them.
import assert from 'node:assert/strict'
import type { ContractCase } from './contract-place.ts'

export const parameterCases: readonly ContractCase[] = [
  {
    title: 'pretty indents by four spaces, on every JSON answer',
    run: async (place) => {
      assert.equal(
        await place.query('SELECT 1 AS a', '?pretty'),
        '{\n    "results": [\n        {\n            "columns": [\n                "a"\n            ],\n            "types": [\n                "integer"\n            ],\n            "values": [\n                [\n                    1\n                ]\n            ]\n        }\n    ]\n}',
      )
      for (const path of ['/status?pretty', '/nodes?pretty', '/leader?pretty', '/db/sql?q=SELECT+1&pretty']) {
        const { body } = await place.ask(path)
        assert.equal(body, JSON.stringify(JSON.parse(body), undefined, 4), path)
      }
    },
  },
  {
    title: 'timings gives seconds of each statement and of the request',
    run: async (place) => {
      await place.execute(['CREATE TABLE timed (id INTEGER PRIMARY KEY)'])
      const { results, time } = JSON.parse(
        await place.execute(['INSERT INTO timed VALUES(1)', 'INSERT INTO timed VALUES(2)'], '?timings'),
      ) as {
        readonly results: readonly { readonly time: number }[]
        readonly time: number
      }
      assert.ok(results.length === 2 && results.every((result) => result.time > 0 && result.time < 60) && time > 0 && time < 60)
    },
  },
  {
    title: 'transaction: with it nothing stays when one statement fails, and the rest is not tried; without it the others stay',
    run: async (place) => {
      await place.execute(['CREATE TABLE tx (id INTEGER PRIMARY KEY)'])
      const bad = ['INSERT INTO tx VALUES(1)', 'INSERT INTO nowhere VALUES(1)', 'INSERT INTO tx VALUES(2)']
      for (const path of ['/db/execute', '/db/request']) {
        const answer = await place.post(`${path}?transaction`, bad)
        assert.match(answer.body, /\{"error":"no such table: nowhere"\}\]\}$/)
        assert.equal(await place.values('SELECT count(*) FROM tx'), '[0]')
      }
      await place.execute(bad)
      assert.equal(await place.values('SELECT count(*) FROM tx'), '[2]')
      assert.match((await place.post('/db/query?transaction', ['SELECT nope', 'SELECT 1'])).body, /^\{"results":\[\{"error":"[^"]*"\}\]\}$/)
    },
  },
  {
    title: 'qualify_columns calls columns by their table; expressions keep their name',
    run: async (place) => {
      await place.execute([
        'CREATE TABLE qa (id INTEGER, name TEXT)',
        'CREATE TABLE qb (id INTEGER)',
        "INSERT INTO qa VALUES(1, 'x')",
        'INSERT INTO qb VALUES(2)',
      ])
      assert.match(
        await place.query('SELECT qa.*, qb.id, 1 + 1 FROM qa, qb', '?qualify_columns'),
        /"columns":\["qa\.id","qa\.name","qb\.id","1 \+ 1"\]/,
      )
      assert.equal(
        await place.query('SELECT qa.id, qb.id FROM qa, qb', '?qualify_columns&associative'),
        '{"results":[{"types":{"qa.id":"integer","qb.id":"integer"},"rows":[{"qa.id":1,"qb.id":2}]}]}',
      )
      assert.match(await place.execute(["UPDATE qa SET name = 'y' RETURNING name"], '?qualify_columns'), /"columns":\["(qa\.)?name"\]/)
    },
  },
  {
    title: 'raft_index of a write is that of its entry, and of a read what it has seen',
    run: async (place) => {
      const indexOf = (body: string): number => (JSON.parse(body) as { readonly raft_index: number }).raft_index
      const first = indexOf(await place.execute(['CREATE TABLE indexed (id INTEGER)'], '?raft_index'))
      const second = indexOf(await place.request(['INSERT INTO indexed VALUES(1)'], '?raft_index'))
      assert.ok(first > 0 && second > first)
      assert.ok(indexOf(await place.query('SELECT * FROM indexed', '?raft_index&level=linearizable')) >= second)
    },
  },
  {
    title: 'db_timeout that is long enough changes nothing, on reads and on writes',
    run: async (place) => {
      assert.equal(await place.values('SELECT 1', '?db_timeout=30s'), '[1]')
      assert.equal(
        await place.execute(['CREATE TABLE notlate (id INTEGER)'], '?db_timeout=30s'),
        await place.execute(['DROP TABLE notlate']),
      )
    },
  },
  {
    title: 'retries, noparse, norwrandom, norwtime, and wait without queue are accepted',
    run: async (place) => {
      assert.equal(await place.values('SELECT 1', '?retries=3&noparse&norwrandom&norwtime'), '[1]')
      assert.match(
        await place.execute(['CREATE TABLE accepted (id INTEGER)'], '?wait=true&retries=1&noparse&norwrandom&norwtime'),
        /^\{"results":\[\{.*\}\]\}$/,
      )
    },
  },
  {
    title: 'what rqlite-jdbc sends with every request works',
    run: async (place) => {
      const parameters =
        '?timings=true&timeout=30s&wait=true&level=linearizable&linearizable_timeout=30s&freshness=1s&freshness_strict=false'
      assert.match(await place.query('SELECT 1', parameters), /"values":\[\[1\]\]/)
    },
  },
]
