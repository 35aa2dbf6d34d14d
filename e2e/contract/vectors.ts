// rqlite's own expectations, byte for byte.
import assert from 'node:assert/strict'
import type { ContractCase } from './contract-place.ts'

export const vectors: readonly ContractCase[] = [
  {
    title: 'execute INSERT into a missing table',
    run: async (place) => {
      assert.equal(await place.execute(["INSERT INTO bar(name) VALUES('x')"]), '{"results":[{"error":"no such table: bar"}]}')
    },
  },
  {
    title: 'execute of a text that is no SQL',
    run: async (place) => {
      assert.equal(await place.execute(['INSERT blah blah']), String.raw`{"results":[{"error":"near \"blah\": syntax error"}]}`)
    },
  },
  {
    title: 'a constraint that fails',
    run: async (place) => {
      await place.execute(['CREATE TABLE uniq (name TEXT UNIQUE)', "INSERT INTO uniq VALUES('a')"])
      assert.equal(await place.execute(["INSERT INTO uniq VALUES('a')"]), '{"results":[{"error":"UNIQUE constraint failed: uniq.name"}]}')
    },
  },
  {
    title: 'text/plain with an empty body, query',
    run: async (place) => {
      const answer = await place.post('/db/query', '', { headers: { 'Content-Type': 'text/plain' } })
      assert.deepEqual([answer.status, answer.body], [200, '{"results":[]}'])
    },
  },
  {
    title: 'query with zero rows, with rows, and with rows as objects',
    run: async (place) => {
      await place.execute(['CREATE TABLE q (id INTEGER NOT NULL PRIMARY KEY, name TEXT)'])
      assert.equal(await place.query('SELECT * FROM q'), '{"results":[{"columns":["id","name"],"types":["integer","text"]}]}')
      await place.execute(["INSERT INTO q(name) VALUES('fiona')"])
      const rows = '{"results":[{"columns":["id","name"],"types":["integer","text"],"values":[[1,"fiona"]]}]}'
      assert.equal(await place.query('SELECT * FROM q'), rows)
      assert.equal(await place.request(['SELECT * FROM q']), rows)
      assert.equal(
        await place.query('SELECT * FROM q', '?associative'),
        '{"results":[{"types":{"id":"integer","name":"text"},"rows":[{"id":1,"name":"fiona"}]}]}',
      )
    },
  },
  {
    title: 'execute INSERT, associative',
    run: async (place) => {
      await place.execute(['CREATE TABLE assoc (id INTEGER NOT NULL PRIMARY KEY, name TEXT)'])
      assert.equal(
        await place.execute(["INSERT INTO assoc(id, name) VALUES(99, 'fiona')"], '?associative'),
        '{"results":[{"last_insert_id":99,"rows_affected":1,"rows":null}]}',
      )
    },
  },
  {
    title: 'RETURNING answers with rows, also of a column named like a keyword, also through request',
    run: async (place) => {
      await place.execute(['CREATE TABLE ret (id INTEGER NOT NULL PRIMARY KEY, name TEXT, "desc" TEXT)'])
      const insert = `INSERT INTO ret(name, "desc") VALUES('fiona', 'd') RETURNING *`
      const rows = (id: number): string =>
        `{"results":[{"columns":["id","name","desc"],"types":["integer","text","text"],"values":[[${id},"fiona","d"]]}]}`
      assert.equal(await place.execute([insert]), rows(1))
      assert.equal(await place.request([insert]), rows(2))
    },
  },
  {
    title: 'UPDATE … RETURNING without a match, associative',
    run: async (place) => {
      await place.execute(['CREATE TABLE nomatch (id INTEGER, name TEXT)'])
      assert.equal(
        await place.execute(["UPDATE nomatch SET name = 'x' WHERE id = 77 RETURNING name"], '?associative'),
        '{"results":[{"types":{"name":"text"},"rows":[]}]}',
      )
    },
  },
  {
    title: 'RETURNING on a missing table',
    run: async (place) => {
      assert.equal(
        await place.execute(['INSERT INTO nonsense(a) VALUES(1) RETURNING *']),
        '{"results":[{"error":"no such table: nonsense"}]}',
      )
    },
  },
  {
    title: 'disallowed pragmas through execute, query and request, in any case and with leading space',
    run: async (place) => {
      for (const pragma of [
        'PRAGMA journal_mode=DELETE',
        '  pragma WAL_checkpoint',
        'PRAGMA wal_autocheckpoint=5',
        'PRAGMA synchronous=FULL',
        'PRAGMA query_only=1',
      ]) {
        for (const path of ['/db/execute', '/db/query', '/db/request']) {
          const answer = await place.post(path, [pragma])
          assert.deepEqual([answer.status, answer.body], [200, '{"results":[],"error":"disallowed pragma"}'], `${path} ${pragma}`)
        }
      }
    },
  },
  {
    title: 'a BLOB column of a STRICT table takes a hexadecimal literal and a list of bytes, and comes back as base64 or as a list',
    run: async (place) => {
      await place.execute(['CREATE TABLE blobs (data BLOB) STRICT'])
      await place.execute([
        ['INSERT INTO blobs(data) VALUES(?)', "x'deadbeef'"],
        ['INSERT INTO blobs(data) VALUES(?)', [222, 173, 190, 239]],
      ])
      const head = '{"results":[{"columns":["data"],"types":["blob"],"values":'
      assert.equal(await place.query('SELECT data FROM blobs'), `${head}[["3q2+7w=="],["3q2+7w=="]]}]}`)
      assert.equal(await place.query('SELECT data FROM blobs', '?blob_array'), `${head}[[[222,173,190,239]],[[222,173,190,239]]]}]}`)
    },
  },
  {
    title: 'a hundred inserts with the same named parameters, NULL among them',
    run: async (place) => {
      await place.execute(['CREATE TABLE named (id INTEGER NOT NULL PRIMARY KEY, name TEXT, age INTEGER)'])
      const insert = ['INSERT INTO named(name, age) VALUES(:name, :age)', { name: 'fiona', age: null }]
      for (let id = 1; id <= 100; id += 1) {
        assert.equal(await place.execute([insert]), `{"results":[{"last_insert_id":${id},"rows_affected":1}]}`)
      }
    },
  },
  {
    title: 'a query that takes longer than db_timeout',
    run: async (place) => {
      const long =
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT max(i) FROM (SELECT i FROM n ORDER BY -i)'
      assert.match(await place.query(long, '?db_timeout=1ms'), /"error":"query timeout"/)
    },
  },
  {
    title: 'PRAGMA table_info, EXPLAIN QUERY PLAN and a common table expression have the types that clients know',
    run: async (place) => {
      await place.execute([
        'CREATE TABLE known (id INTEGER NOT NULL PRIMARY KEY, name TEXT)',
        'CREATE TABLE odd (x foo)',
        'INSERT INTO odd VALUES(1)',
      ])
      const info =
        '{"results":[{"columns":["cid","name","type","notnull","dflt_value","pk"],"types":["integer","text","text","integer","","integer"],"values":[[0,"id","INTEGER",1,null,1],[1,"name","TEXT",0,null,0]]}]}'
      for (const text of ['PRAGMA table_info("known")', "PRAGMA table_info('known')", "SELECT * FROM pragma_table_info('known')"])
        assert.equal(await place.query(text), info)
      assert.match(
        await place.query('EXPLAIN QUERY PLAN SELECT * FROM known'),
        /^\{"results":\[\{"columns":\["id","parent","notused","detail"\],"types":\["integer","integer","integer","text"\],"values":\[\[\d+,0,\d+,"SCAN known"\]\]\}\]\}$/,
      )
      assert.equal(
        await place.query('WITH bar AS (SELECT * FROM odd) SELECT * FROM odd WHERE x = 1'),
        '{"results":[{"columns":["x"],"types":["foo"],"values":[[1]]}]}',
      )
    },
  },
  {
    title: 'foreign keys are off, as rqlite starts',
    run: async (place) => {
      assert.equal(
        await place.query('PRAGMA foreign_keys'),
        '{"results":[{"columns":["foreign_keys"],"types":["integer"],"values":[[0]]}]}',
      )
      await place.execute(['CREATE TABLE parent (id INTEGER PRIMARY KEY)', 'CREATE TABLE child (of INTEGER REFERENCES parent)'])
      assert.match(await place.execute(['INSERT INTO child VALUES(5)']), /"rows_affected":1/)
    },
  },
]
