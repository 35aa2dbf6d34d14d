// What a client gets: the envelope, the items, types and values, and the counters.
import assert from 'node:assert/strict'
import type { ContractCase } from './contract-place.ts'

export const results: readonly ContractCase[] = [
  {
    title: 'the envelope always has results, compact and in a fixed order of keys; time and raft_index come only when asked for',
    run: async (place) => {
      assert.equal(await place.query('SELECT 1'), '{"results":[{"columns":["1"],"types":["integer"],"values":[[1]]}]}')
      assert.match(
        await place.query('SELECT 1', '?timings&raft_index'),
        /^\{"results":\[\{"columns":\["1"\],"types":\["integer"\],"values":\[\[1\]\],"time":[\de.-]+\}\],"time":[\de.-]+,"raft_index":\d+\}$/,
      )
    },
  },
  {
    title: 'a statement that fails is an item with the error alone, and the others go on',
    run: async (place) => {
      await place.execute(['CREATE TABLE goon (id INTEGER PRIMARY KEY)'])
      assert.equal(
        await place.execute(['INSERT INTO goon VALUES(1)', 'INSERT INTO goon VALUES(1)', 'INSERT INTO goon VALUES(2)']),
        '{"results":[{"last_insert_id":1,"rows_affected":1},{"error":"UNIQUE constraint failed: goon.id"},{"last_insert_id":2,"rows_affected":1}]}',
      )
      assert.equal(
        await place.request(['SELECT id FROM goon', 'SELECT nope FROM goon', 'DELETE FROM goon']),
        '{"results":[{"columns":["id"],"types":["integer"],"values":[[1],[2]]},{"error":"no such column: nope"},{"last_insert_id":2,"rows_affected":2}]}',
      )
    },
  },
  {
    title: 'what a statement has not changed still shows the counters of the last one that did',
    run: async (place) => {
      await place.execute(['CREATE TABLE counters (id INTEGER PRIMARY KEY, name TEXT)'])
      await place.execute(["INSERT INTO counters VALUES(41, 'a'), (42, 'b')"])
      const shown = '{"last_insert_id":42,"rows_affected":2}'
      assert.equal(await place.execute(['CREATE INDEX byname ON counters(name)', 'DROP INDEX byname']), `{"results":[${shown},${shown}]}`)
      assert.equal(await place.execute(['ALTER TABLE counters ADD COLUMN age INTEGER']), `{"results":[${shown}]}`)
      assert.equal(await place.execute(['SELECT * FROM counters']), `{"results":[${shown}]}`)
      assert.equal(await place.execute(["UPDATE counters SET name = 'x' WHERE id = 7"]), '{"results":[{"last_insert_id":42}]}')
      assert.equal(await place.execute(['DROP TABLE counters']), '{"results":[{"last_insert_id":42}]}')
    },
  },
  {
    title: 'rows_affected counts the rows of the statement, not those of its triggers',
    run: async (place) => {
      await place.execute([
        'CREATE TABLE trig (id INTEGER PRIMARY KEY)',
        'CREATE TABLE trigged (id INTEGER PRIMARY KEY, of INTEGER)',
        'CREATE TRIGGER t AFTER INSERT ON trig BEGIN INSERT INTO trigged(of) VALUES(new.id); INSERT INTO trigged(of) VALUES(new.id); END',
      ])
      assert.equal(await place.execute(['INSERT INTO trig VALUES(7)']), '{"results":[{"last_insert_id":7,"rows_affected":1}]}')
      assert.equal(await place.values('SELECT count(*) FROM trigged'), '[2]')
    },
  },
  {
    title: 'types are the declared ones in lower case, and of an expression what its first row holds',
    run: async (place) => {
      await place.execute([
        'CREATE TABLE types (a INTEGER, b VARCHAR(500), c DateTime, d, e BOOLEAN)',
        "INSERT INTO types VALUES(1, 'x', '2024-01-02 03:04:05', 5, 1)",
      ])
      assert.match(await place.query('SELECT * FROM types'), /"types":\["integer","varchar\(500\)","datetime","integer","boolean"\]/)
      assert.equal(
        await place.query('SELECT COUNT(*) FROM types'),
        '{"results":[{"columns":["COUNT(*)"],"types":["integer"],"values":[[1]]}]}',
      )
      assert.match(await place.query("SELECT 1, 1.5, 'a', x'ff', NULL"), /"types":\["integer","real","text","blob",""\]/)
      assert.match(await place.query('SELECT 1 + a FROM types WHERE 0'), /"types":\[""\]\}/)
    },
  },
  {
    title: 'integers have all their 64 bits, REAL is the shortest number, and what JSON cannot write is null',
    run: async (place) => {
      assert.equal(
        await place.values('SELECT 9223372036854775807, -9223372036854775808, 9007199254740993'),
        '[9223372036854775807,-9223372036854775808,9007199254740993]',
      )
      assert.equal(
        await place.values('SELECT 1.0, 0.1, -0.5, 1e21, 1e20, 1e-7, 1e-6'),
        '[1,0.1,-0.5,1e+21,100000000000000000000,1e-7,0.000001]',
      )
      assert.equal(await place.values('SELECT 9e999, -9e999, 9e999 - 9e999'), '[null,null,null]')
    },
  },
  {
    title: 'BOOLEAN columns hold true and false',
    run: async (place) => {
      await place.execute([
        'CREATE TABLE bools (b BOOLEAN)',
        'INSERT INTO bools VALUES(1), (0), (7), (NULL)',
        ['INSERT INTO bools VALUES(?)', true],
      ])
      assert.equal(await place.values('SELECT b FROM bools'), '[true],[false],[true],[null],[true]')
    },
  },
  {
    title: 'DATE, DATETIME and TIMESTAMP columns show times as RFC 3339, from text and from seconds or milliseconds',
    run: async (place) => {
      await place.execute([
        'CREATE TABLE times (d DATE, dt DATETIME, ts TIMESTAMP)',
        "INSERT INTO times VALUES('2024-01-02', '2024-01-02 03:04:05', 1704164645)",
        "INSERT INTO times VALUES('2024-01-02T03:04:05Z', '2024-01-02 03:04:05.678', 1704164645678)",
        "INSERT INTO times VALUES(NULL, 'no time', '2024-01-02 03:04:05+02:00')",
      ])
      assert.equal(
        await place.values('SELECT * FROM times'),
        '["2024-01-02T00:00:00Z","2024-01-02T03:04:05Z","2024-01-02T03:04:05Z"],' +
          '["2024-01-02T03:04:05Z","2024-01-02T03:04:05.678Z","2024-01-02T03:04:05.678Z"],' +
          '[null,"no time","2024-01-02T03:04:05+02:00"]',
      )
    },
  },
  {
    title: 'bytes are base64, or lists with blob_array; in a column like text they are text; text in a BLOB column stays text',
    run: async (place) => {
      await place.execute([
        'CREATE TABLE bytes (b BLOB, t TEXT, v VARCHAR(9), j JSON)',
        "INSERT INTO bytes VALUES(x'deadbeef', x'68696a', x'68', x'7b7d')",
        "INSERT INTO bytes VALUES('fiona', x'ff', NULL, '[]')",
      ])
      assert.equal(await place.values('SELECT * FROM bytes'), '["3q2+7w==","hij","h","{}"],["fiona","/w==",null,"[]"]')
      assert.equal(await place.values('SELECT b, t FROM bytes', '?blob_array'), '[[222,173,190,239],"hij"],["fiona",[255]]')
    },
  },
  {
    title: 'text comes back as it went in, whatever it holds',
    run: async (place) => {
      const text = 'a"b\\c\n\t\u0001 ü € 🦊 \u2028\u2029 </script>&'
      const answer = await place.post('/db/query', [['SELECT ? AS t', text]])
      assert.equal(
        (JSON.parse(answer.body) as { readonly results: readonly { readonly values: readonly (readonly string[])[] }[] }).results[0]
          ?.values[0]?.[0],
        text,
      )
    },
  },
  {
    title: 'rows as objects: types first, keys in the order of the alphabet, rows also when there are none',
    run: async (place) => {
      assert.equal(
        await place.query("SELECT 1 AS z, 'x' AS a", '?associative'),
        '{"results":[{"types":{"a":"text","z":"integer"},"rows":[{"a":"x","z":1}]}]}',
      )
      assert.equal(await place.query('SELECT 1 AS z WHERE 0', '?associative'), '{"results":[{"types":{"z":""},"rows":[]}]}')
    },
  },
  {
    title: 'columns of one name, and columns called __proto__ or constructor, lose nothing; in objects the last of a name wins',
    run: async (place) => {
      const sql = 'SELECT 1 AS a, 2 AS a, 3 AS __proto__, 4 AS constructor'
      assert.equal(
        await place.query(sql),
        '{"results":[{"columns":["a","a","__proto__","constructor"],"types":["integer","integer","integer","integer"],"values":[[1,2,3,4]]}]}',
      )
      assert.equal(
        await place.query(sql, '?associative'),
        '{"results":[{"types":{"__proto__":"integer","a":"integer","constructor":"integer"},"rows":[{"__proto__":3,"a":2,"constructor":4}]}]}',
      )
    },
  },
  {
    title: 'an error of an associative query stands beside empty rows; of execute and request it stands alone',
    run: async (place) => {
      const error = '"error":"no such table: absent"'
      assert.equal(await place.query('SELECT * FROM absent', '?associative'), `{"results":[{"rows":[],${error}}]}`)
      assert.equal(await place.request(['SELECT * FROM absent'], '?associative'), `{"results":[{${error}}]}`)
      assert.equal(await place.execute(['DELETE FROM absent'], '?associative'), `{"results":[{${error}}]}`)
    },
  },
  {
    title: 'an error, a write and rows in one associative answer',
    run: async (place) => {
      await place.execute(['CREATE TABLE threekinds (id INTEGER PRIMARY KEY)'])
      assert.equal(
        await place.request(['INSERT INTO threekinds VALUES(3)', 'SELECT * FROM threekinds', 'SELECT FROM'], '?associative'),
        String.raw`{"results":[{"last_insert_id":3,"rows_affected":1,"rows":null},{"types":{"id":"integer"},"rows":[{"id":3}]},{"error":"near \"FROM\": syntax error"}]}`,
      )
    },
  },
]
