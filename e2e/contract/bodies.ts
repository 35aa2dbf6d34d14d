// What a client sends: forms of a body, and how each JSON value is bound.
import assert from 'node:assert/strict'
import type { ContractCase, Place } from './contract-place.ts'

/** JSON text of one parameter, what SQLite calls its type, and the bytes that come back. */
const parameters: readonly (readonly [json: string, type: string, back: string])[] = [
  ['5', 'integer', '5'],
  ['-9223372036854775808', 'integer', '-9223372036854775808'],
  ['9223372036854775807', 'integer', '9223372036854775807'],
  ['9007199254740993', 'integer', '9007199254740993'],
  // Beyond 64 bits; the digits that Go shows of a REAL, too.
  ['9223372036854775808', 'real', '9223372036854776000'],
  ['1.5', 'real', '1.5'],
  ['1.0', 'real', '1'],
  ['1e3', 'real', '1000'],
  ['0.1', 'real', '0.1'],
  ['"text"', 'text', '"text"'],
  ['""', 'text', '""'],
  ['"x\'ff00\'"', 'blob', '"/wA="'],
  ['"X\'FF00\'"', 'blob', '"/wA="'],
  ['"x\'ff0\'"', 'text', '"x\'ff0\'"'],
  ['" x\'ff00\'"', 'text', '" x\'ff00\'"'],
  ['true', 'integer', '1'],
  ['false', 'integer', '0'],
  ['null', 'null', 'null'],
  ['[255,0]', 'blob', '"/wA="'],
  ['[]', 'blob', '""'],
]

async function refused(place: Place, body: string): Promise<readonly [number, string]> {
  const answers = await Promise.all(['/db/execute', '/db/query', '/db/request'].map((path) => place.post(path, body)))
  const [first] = answers
  assert.ok(first !== undefined)
  for (const answer of answers) assert.deepEqual([answer.status, answer.body], [first.status, first.body])
  return [first.status, first.body]
}

export const bodies: readonly ContractCase[] = [
  {
    title: 'each JSON value is bound as its type, whole numbers with a fraction or an exponent as REAL, integers with all 64 bits',
    run: async (place) => {
      for (const [json, type, back] of parameters) {
        const answer = await place.post('/db/query', `[["SELECT typeof(?1) AS kind, ?1 AS value", ${json}]]`)
        const { results } = JSON.parse(answer.body) as { readonly results: readonly { readonly values: readonly (readonly unknown[])[] }[] }
        assert.equal(results[0]?.values[0]?.[0], type, json)
        assert.ok(answer.body.endsWith(`"values":[["${type}",${back}]]}]}`), `${json}: ${answer.body}`)
      }
    },
  },
  {
    title: 'the same in what is written, and read back from the table',
    run: async (place) => {
      await place.execute(['CREATE TABLE bound (id INTEGER PRIMARY KEY, value ANY) STRICT'])
      const inserts = parameters.map(([json], at) => `["INSERT INTO bound VALUES(${at}, ?)", ${json}]`)
      await place.execute(`[${inserts.join(',')}]`)
      const rows = parameters.map(([, type, back]) => `["${type}",${back}]`).join(',')
      assert.equal(await place.values('SELECT typeof(value), value FROM bound ORDER BY id'), rows)
    },
  },
  {
    title: 'an object names its parameters without prefix; :k, @k and $k all find them; a name without a value is NULL',
    run: async (place) => {
      const answer = await place.post('/db/query', [['SELECT :a, @b, $c, :missing', { a: 1, b: 'two', c: null, unused: 5 }]])
      assert.match(answer.body, /"values":\[\[1,"two",null,null\]\]/)
    },
  },
  {
    title: 'too few positional parameters are an error of the statement, too many are ignored',
    run: async (place) => {
      assert.equal(
        (await place.post('/db/query', [['SELECT ?, ?', 1]])).body,
        '{"results":[{"error":"not enough args to execute query: want 2 got 1"}]}',
      )
      assert.match((await place.post('/db/query', [['SELECT ?', 1, 2]])).body, /"values":\[\[1\]\]/)
    },
  },
  {
    title: 'named and positional parameters in one statement are refused, unlike in rqlite',
    run: async (place) => {
      for (const given of ['1, {"a": 1}', '{"a": 1}, 1']) {
        const [status, text] = await refused(place, `[["SELECT :a, ?", ${given}]]`)
        assert.equal(status, 400)
        assert.match(text, /^invalid request: named and positional/)
      }
    },
  },
  {
    title: 'names such as __proto__ and constructor are names like any other',
    run: async (place) => {
      const answer = await place.post('/db/query', '[["SELECT :__proto__ AS a, :constructor AS b", {"__proto__": 1, "constructor": 2}]]')
      assert.match(answer.body, /"values":\[\[1,2\]\]/)
    },
  },
  {
    title: 'positions are numbered as in SQLite, with ?NNN too',
    run: async (place) => {
      const answer = await place.post('/db/query', [['SELECT ?, ?3, ?', 'first', 'unused', 'third', 'fourth']])
      assert.match(answer.body, /"values":\[\["first","third","fourth"\]\]/)
    },
  },
  {
    title: 'texts and lists may be mixed in one body',
    run: async (place) => {
      await place.execute(['CREATE TABLE mixedforms (id INTEGER PRIMARY KEY, name TEXT)'])
      assert.equal(
        await place.execute(["INSERT INTO mixedforms(name) VALUES('a')", ['INSERT INTO mixedforms(name) VALUES(?)', 'b'], ['SELECT 1']]),
        '{"results":[{"last_insert_id":1,"rows_affected":1},{"last_insert_id":2,"rows_affected":1},{"last_insert_id":2,"rows_affected":1}]}',
      )
    },
  },
  {
    title: 'what is no body of statements is refused with rqlite’s words',
    run: async (place) => {
      for (const [body, text] of [
        ['[]', 'no statements'],
        ['', 'invalid JSON body'],
        ['{"a"', 'invalid JSON body'],
        ['["SELECT 1"', 'invalid JSON body'],
        ['{}', 'invalid request'],
        ['"SELECT 1"', 'invalid request'],
        ['5', 'invalid request'],
        ['null', 'invalid request'],
        ['[5]', 'invalid request'],
        ['[null]', 'invalid request'],
        ['[[]]', 'invalid request'],
        ['[[5]]', 'invalid request'],
        ['[[null, 1]]', 'invalid request'],
      ] as const) {
        assert.deepEqual(await refused(place, body), [400, `${text}\n`], body)
      }
    },
  },
  {
    title: 'a parameter of a kind that SQLite does not have is refused as an unsupported type',
    run: async (place) => {
      for (const json of ['[1, "a"]', '[256]', '[-1]', '[1.5]', '[[1]]', '{"a": {"b": 1}}', '{"a": ["x"]}', '1e999']) {
        const [status, text] = await refused(place, `[["SELECT ?", ${json}]]`)
        assert.equal(status, 400, json)
        assert.match(text, /^unsupported type /, json)
      }
    },
  },
  {
    title: 'one refused statement of a body, and nothing of it is done',
    run: async (place) => {
      await place.execute(['CREATE TABLE halfway (id INTEGER)'])
      for (const body of ['["INSERT INTO halfway VALUES(1)", 5]', '["INSERT INTO halfway VALUES(1)", ["SELECT ?", {"a": {}}]]']) {
        assert.equal((await place.post('/db/execute', body)).status, 400)
      }
      assert.equal(await place.values('SELECT count(*) FROM halfway'), '[0]')
    },
  },
  {
    title: 'statements of nothing but white space, comments and semicolons are skipped without an item',
    run: async (place) => {
      for (const path of ['/db/execute', '/db/query', '/db/request']) {
        assert.equal((await place.post(path, ['', ' ;; ', '-- nothing', '/* nothing */'])).body, '{"results":[]}', path)
      }
      const one = '{"results":[{"columns":["1"],"types":["integer"],"values":[[1]]}]}'
      assert.equal((await place.post('/db/query', ['', 'SELECT 1', ''])).body, one)
      assert.equal((await place.post('/db/request', ['', 'SELECT 1', ''])).body, one)
    },
  },
  {
    title: 'text/plain is one statement for execute and query, and JSON is wanted for request',
    run: async (place) => {
      const headers = { 'Content-Type': 'text/plain; charset=utf-8' }
      assert.equal((await place.post('/db/execute', 'CREATE TABLE plain (id INTEGER)', { headers })).status, 200)
      assert.equal((await place.post('/db/query', 'SELECT count(*) AS n FROM plain', { headers })).status, 200)
      assert.deepEqual((await place.post('/db/request', 'SELECT 1', { headers })).body, 'invalid JSON body\n')
      assert.match((await place.post('/db/request', '["SELECT 1"]', { headers })).body, /"values":\[\[1\]\]/)
    },
  },
  {
    title: 'GET query takes one statement in q',
    run: async (place) => {
      assert.equal(await place.values("SELECT 'a b+c' AS t"), '["a b+c"]')
      assert.equal((await place.ask('/db/query')).status, 400)
    },
  },
  {
    title: 'several statements in one text all run, and the last one answers',
    run: async (place) => {
      await place.execute(['CREATE TABLE several (id INTEGER PRIMARY KEY, name TEXT)'])
      assert.equal(
        await place.execute(["INSERT INTO several(name) VALUES('a;b'); INSERT INTO several(name) VALUES('c') -- ;\n;"]),
        '{"results":[{"last_insert_id":2,"rows_affected":1}]}',
      )
      assert.equal(await place.values('SELECT 1; SELECT count(*) AS n FROM several'), '[2]')
      await place.execute(['INSERT INTO several(name) VALUES(1);DROP TABLE several;INSERT INTO several(name) VALUES(2)'])
      assert.match(await place.query('SELECT * FROM several'), /no such table: several/)
    },
  },
  {
    title: 'words in double quotes that name no column are strings',
    run: async (place) => {
      await place.execute(['CREATE TABLE dqs (name TEXT)', 'INSERT INTO dqs(name) VALUES("fiona")'])
      assert.equal(await place.values('SELECT name FROM dqs WHERE name = "fiona"'), '["fiona"]')
      assert.match(await place.query('SELECT "fiona" AS a, "fiona" FROM dqs'), /"columns":\["a","'fiona'"\]/)
      assert.equal(await place.values('SELECT count(*) FROM sqlite_schema WHERE type="table" AND name="dqs"'), '[1]')
    },
  },
]
