// What may be run, and by which endpoint. The gate's own corpus stands in node/command; here it is seen that nothing goes around it.
import assert from 'node:assert/strict'
import { waitUntil } from '../apiserver/wait-until.ts'
import type { ContractCase } from './contract-place.ts'

const code = 'x-securesql-code'

export const sql: readonly ContractCase[] = [
  {
    title: 'query changes nothing, whatever it is sent; the refusal is an error of an item',
    run: async (place) => {
      await place.execute(['CREATE TABLE untouched (id INTEGER)', 'INSERT INTO untouched VALUES(1)'])
      for (const statement of [
        'DELETE FROM untouched',
        'SELECT 1; DELETE FROM untouched',
        'WITH x AS (SELECT 1) DELETE FROM untouched',
        'UPDATE untouched SET id = 2 RETURNING id',
        'DROP TABLE untouched',
        '/* SELECT */ DELETE FROM untouched',
      ]) {
        const answer = await place.post('/db/query', [statement])
        assert.deepEqual([answer.status, answer.headers[code]], [200, 'statement_refused'], statement)
        assert.match(answer.body, /^\{"results":\[\{"error":"[^"]+"\}\]\}$/, statement)
      }
      assert.equal(await place.values('SELECT id FROM untouched'), '[1]')
    },
  },
  {
    title: 'EXPLAIN of anything is a read, of a write too',
    run: async (place) => {
      await place.execute(['CREATE TABLE expl (id INTEGER PRIMARY KEY)'])
      const plan = JSON.parse(await place.query('EXPLAIN QUERY PLAN DELETE FROM expl')) as {
        readonly results: readonly { readonly columns: readonly string[] }[]
      }
      assert.deepEqual(plan.results[0]?.columns, ['id', 'parent', 'notused', 'detail'])
      assert.match(await place.request(['EXPLAIN DELETE FROM expl']), /"columns":\["addr","opcode"/)
    },
  },
  {
    title: 'transaction control, ATTACH and functions that leave the database are refused, unlike in rqlite',
    run: async (place) => {
      for (const statement of [
        'BEGIN',
        'COMMIT',
        'SAVEPOINT a',
        'ROLLBACK',
        "ATTACH '/etc/passwd' AS x",
        'DETACH x',
        "SELECT load_extension('x')",
        "VACUUM INTO '/tmp/x'",
      ]) {
        for (const path of ['/db/execute', '/db/query', '/db/request']) {
          const answer = await place.post(path, [statement])
          assert.equal(answer.headers[code], 'statement_refused', `${path} ${statement}`)
        }
      }
    },
  },
  {
    title: 'VACUUM is answered as by rqlite, and INTO is refused, unlike in rqlite',
    run: async (place) => {
      await place.execute(['CREATE TABLE roomy (v)', 'INSERT INTO roomy VALUES(1)', 'INSERT INTO roomy VALUES(2)'])
      assert.equal(await place.execute(['DELETE FROM roomy WHERE v = 1']), '{"results":[{"last_insert_id":2,"rows_affected":1}]}')
      assert.equal(await place.execute(['VACUUM']), '{"results":[{"last_insert_id":2,"rows_affected":1}]}')
      assert.equal(await place.request(['VACUUM main']), '{"results":[{"last_insert_id":2,"rows_affected":1}]}')
      const within = await place.post('/db/execute?transaction', ['VACUUM'])
      assert.equal(within.body, '{"results":[{"error":"cannot VACUUM from within a transaction"}]}')
      assert.equal(await place.execute(['VACUUM nosuch']), '{"results":[{"error":"unknown database nosuch"}]}')
      assert.equal(await place.values('SELECT rowid, v FROM roomy'), '[2,2]')
    },
  },
  {
    title: 'a text that begins no statement is answered in the words of SQLite, and nothing of its request is done, unlike in rqlite',
    run: async (place) => {
      await place.execute(['CREATE TABLE spelled (id INTEGER)'])
      const answer = await place.post('/db/execute', ['INSERT INTO spelled VALUES(1)', 'SELCT 1'])
      assert.deepEqual(
        [answer.body, answer.headers[code]],
        [String.raw`{"results":[{"error":"near \"SELCT\": syntax error"}]}`, 'statement_refused'],
      )
      assert.equal(await place.values('SELECT count(*) FROM spelled'), '[0]')
    },
  },
  {
    title: 'one refused statement, and nothing of its request is done, unlike in rqlite',
    run: async (place) => {
      await place.execute(['CREATE TABLE whole (id INTEGER)'])
      const answer = await place.post('/db/execute', ['INSERT INTO whole VALUES(1)', 'BEGIN'])
      assert.equal(answer.headers[code], 'statement_refused')
      assert.equal(await place.values('SELECT count(*) FROM whole'), '[0]')
    },
  },
  {
    title: 'the tables of the node itself are listed, and cannot be read or written, unlike in rqlite',
    run: async (place) => {
      assert.equal(await place.values("SELECT name FROM sqlite_schema WHERE name LIKE '\\_%' ESCAPE '\\'"), '["_securesql_state"]')
      for (const statement of ['SELECT * FROM _securesql_state', 'DELETE FROM "_securesql_state"']) {
        for (const path of ['/db/execute', '/db/query', '/db/request']) {
          assert.equal((await place.post(path, [statement])).headers[code], 'statement_refused', `${path} ${statement}`)
        }
      }
    },
  },
  {
    title: 'random numbers and the time in a write are values of its entry: of SQLite’s types, and the same on every node',
    run: async (place) => {
      await place.execute(['CREATE TABLE chance (r INTEGER, b BLOB, t TEXT, d TEXT DEFAULT CURRENT_TIMESTAMP, j REAL)'])
      await place.execute([
        "INSERT INTO chance(r, b, t, j) VALUES(random(), randomblob(4), datetime('now'), julianday('now')), (RANDOM(), randomblob(4), time('now'), julianday())",
      ])
      const all = 'SELECT r, b, t, d, j FROM chance ORDER BY rowid'
      const there = await place.values(all)
      assert.match(there, /^\[-?\d+,"[\w+/]+==","[\d-]+ [\d:]+","[\d-]+ [\d:]+",[\d.]+\],\[/)
      await waitUntil({ what: 'the rows', deadlineMs: 30_000, everyMs: 20 }, async () =>
        (await place.query('SELECT count(*) FROM chance', '?level=none')).endsWith('[[2]]}]}') ? true : undefined,
      )
      assert.equal(await place.values(all, '?level=none'), there)
      assert.equal(await place.values('SELECT count(DISTINCT r), count(DISTINCT b) FROM chance'), '[2,2]')
    },
  },
  {
    title: '/db/sql shows statements as they would be run, and runs nothing',
    run: async (place) => {
      await place.execute(['CREATE TABLE shown (name TEXT)'])
      // The node that is asked shows it, by the schema that it has.
      await waitUntil({ what: 'the table', deadlineMs: 30_000, everyMs: 20 }, async () =>
        (await place.query('SELECT * FROM shown', '?level=none')).includes('columns') ? true : undefined,
      )
      const shown = async (statements: readonly unknown[]): Promise<string> => (await place.post('/db/sql', statements)).body
      assert.equal(
        await shown(['INSERT INTO shown(name) VALUES("fiona")', ['SELECT * FROM shown WHERE name = ?', 'x']]),
        String.raw`{"results":[{"original":"INSERT INTO shown(name) VALUES(\"fiona\")","rewritten":"INSERT INTO shown(name) VALUES('fiona')"},{"original":"SELECT * FROM shown WHERE name = ?","rewritten":"SELECT * FROM shown WHERE name = ?"}]}`,
      )
      assert.equal(await place.values('SELECT count(*) FROM shown'), '[0]')
      assert.match(
        await shown(['BEGIN', 'SELECT * FROM nowhere']),
        /^\{"results":\[\{"original":"BEGIN","rewritten":"","error":"BEGIN[^"]*"\},\{"original":"SELECT \* FROM nowhere","rewritten":"SELECT \* FROM nowhere","error":"no such table: nowhere"\}\]\}$/,
      )
      assert.equal((await place.ask('/db/sql?q=SELECT+1')).body, '{"results":[{"original":"SELECT 1","rewritten":"SELECT 1"}]}')
      assert.deepEqual(await place.ask('/db/sql').then(({ status, body }) => [status, body]), [400, 'query not specified\n'])
    },
  },
]
