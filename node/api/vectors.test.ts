// rqlite's own expectations, byte for byte, on a real node of one: real process, files, SQLite, Raft and HTTP. Each test makes its own tables.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { request } from './api-fixture.ts'

const startMsMax = 60_000
let port = 0
let stop: () => Promise<void> = () => Promise.resolve()

before(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-vectors-'))
  const main = new URL('../main.ts', import.meta.url).pathname
  const flags = ['-node-id', 'n1', '-http-addr', '127.0.0.1:0', '-raft-addr', '127.0.0.1:0']
  const node = spawn(process.execPath, [main, ...flags, join(folder, 'data')], { stdio: ['ignore', 'pipe', 'inherit'] })
  stop = async () => {
    if (node.exitCode === null) {
      node.kill('SIGKILL')
      await once(node, 'exit')
    }
    rmSync(folder, { recursive: true })
  }
  for await (const line of createInterface({ input: node.stdout })) {
    const address = /"api":"127\.0\.0\.1:(\d+)"/.exec(line)?.[1]
    if (address === undefined) continue
    port = Number(address)
    break
  }
  node.stdout.resume()
  const deadlineMs = performance.now() + startMsMax
  while ((await request({ port, path: '/readyz' }, {})).status !== 200) {
    assert.ok(performance.now() < deadlineMs, 'the node is not ready')
    await setTimeout(50)
  }
})

after(() => stop())

async function post(path: string, statements: unknown): Promise<string> {
  const body = typeof statements === 'string' ? statements : JSON.stringify(statements)
  return (await request({ port, path }, { method: 'POST', body })).body
}

async function query(path: string, sql: string): Promise<string> {
  return (await request({ port, path: `${path}${path.includes('?') ? '&' : '?'}q=${encodeURIComponent(sql)}` }, {})).body
}

test('execute CREATE TABLE, INSERT and DROP TABLE on a fresh connection', async () => {
  assert.equal(await post('/db/execute', ['CREATE TABLE first (id INTEGER NOT NULL PRIMARY KEY, name TEXT)']), '{"results":[{}]}')
  assert.equal(
    await post('/db/execute', ["INSERT INTO first(name) VALUES('fiona')"]),
    '{"results":[{"last_insert_id":1,"rows_affected":1}]}',
  )
  assert.equal(await post('/db/execute', ['DROP TABLE first']), '{"results":[{"last_insert_id":1,"rows_affected":1}]}')
})

test('statements that fail carry the message of SQLite itself', async () => {
  assert.equal(await post('/db/execute', ["INSERT INTO bar(name) VALUES('x')"]), '{"results":[{"error":"no such table: bar"}]}')
  assert.equal(await post('/db/execute', ['INSERT blah blah']), String.raw`{"results":[{"error":"near \"blah\": syntax error"}]}`)
  assert.equal(
    await post('/db/execute', ['INSERT INTO nonsense(a) VALUES(1) RETURNING *']),
    '{"results":[{"error":"no such table: nonsense"}]}',
  )
  assert.equal(await query('/db/query', 'SELECT * FROM bar'), '{"results":[{"error":"no such table: bar"}]}')
  await post('/db/execute', ['CREATE TABLE uniq (name TEXT UNIQUE)', "INSERT INTO uniq VALUES('a')"])
  assert.equal(await post('/db/execute', ["INSERT INTO uniq VALUES('a')"]), '{"results":[{"error":"UNIQUE constraint failed: uniq.name"}]}')
})

test('text/plain with an empty body', async () => {
  const answer = await request({ port, path: '/db/query' }, { method: 'POST', body: '', headers: { 'Content-Type': 'text/plain' } })
  assert.equal(answer.body, '{"results":[]}')
})

test('queries: no rows, rows, associative, every level', async () => {
  await post('/db/execute', ['CREATE TABLE q (id INTEGER NOT NULL PRIMARY KEY, name TEXT)'])
  assert.equal(await query('/db/query', 'SELECT * FROM q'), '{"results":[{"columns":["id","name"],"types":["integer","text"]}]}')
  await post('/db/execute', ["INSERT INTO q(name) VALUES('fiona')"])
  const rows = '{"results":[{"columns":["id","name"],"types":["integer","text"],"values":[[1,"fiona"]]}]}'
  for (const level of ['none', 'weak', 'linearizable', 'strong', 'auto'])
    assert.equal(await query(`/db/query?level=${level}`, 'SELECT * FROM q'), rows)
  assert.equal(
    await query('/db/query?associative', 'SELECT * FROM q'),
    '{"results":[{"types":{"id":"integer","name":"text"},"rows":[{"id":1,"name":"fiona"}]}]}',
  )
  assert.equal(
    await query('/db/query', 'SELECT COUNT(*) FROM q'),
    '{"results":[{"columns":["COUNT(*)"],"types":["integer"],"values":[[1]]}]}',
  )
  assert.equal(await query('/db/query', 'SELECT 1.0'), '{"results":[{"columns":["1.0"],"types":["real"],"values":[[1]]}]}')
  assert.equal(await query('/db/query', 'SELECT 1'), '{"results":[{"columns":["1"],"types":["integer"],"values":[[1]]}]}')
  assert.equal(await post('/db/request', ['SELECT * FROM q']), rows)
})

test('execute INSERT, associative', async () => {
  await post('/db/execute', ['CREATE TABLE assoc (id INTEGER NOT NULL PRIMARY KEY, name TEXT)'])
  assert.equal(
    await post('/db/execute?associative', ["INSERT INTO assoc(id, name) VALUES(99, 'fiona')"]),
    '{"results":[{"last_insert_id":99,"rows_affected":1,"rows":null}]}',
  )
})

test('RETURNING answers with rows, also of columns named like keywords', async () => {
  await post('/db/execute', ['CREATE TABLE ret (id INTEGER NOT NULL PRIMARY KEY, name TEXT, "desc" TEXT)'])
  assert.equal(
    await post('/db/execute', [`INSERT INTO ret(name, "desc") VALUES('fiona', 'd') RETURNING *`]),
    '{"results":[{"columns":["id","name","desc"],"types":["integer","text","text"],"values":[[1,"fiona","d"]]}]}',
  )
  assert.equal(
    await post('/db/execute?associative', ["UPDATE ret SET name = 'x' WHERE id = 77 RETURNING name"]),
    '{"results":[{"types":{"name":"text"},"rows":[]}]}',
  )
})

test('disallowed pragmas through execute, query and request, in any case and with leading space', async () => {
  for (const pragma of [
    'PRAGMA journal_mode=DELETE',
    '  pragma WAL_checkpoint',
    'PRAGMA wal_autocheckpoint=5',
    'PRAGMA synchronous=FULL',
    'PRAGMA query_only=1',
  ]) {
    for (const path of ['/db/execute', '/db/query', '/db/request']) {
      assert.equal(await post(path, [pragma]), '{"results":[],"error":"disallowed pragma"}', `${path} ${pragma}`)
    }
  }
})

test('blobs in a STRICT table, from a literal or a list of bytes, come back as base64 or as a list', async () => {
  await post('/db/execute', ['CREATE TABLE blobs (id INTEGER PRIMARY KEY, data BLOB) STRICT'])
  await post('/db/execute', [
    ['INSERT INTO blobs(data) VALUES(?)', "x'deadbeef'"],
    ['INSERT INTO blobs(data) VALUES(?)', [222, 173, 190, 239]],
  ])
  const sql = 'SELECT data FROM blobs'
  assert.equal(await query('/db/query', sql), '{"results":[{"columns":["data"],"types":["blob"],"values":[["3q2+7w=="],["3q2+7w=="]]}]}')
  assert.equal(
    await query('/db/query?blob_array', sql),
    '{"results":[{"columns":["data"],"types":["blob"],"values":[[[222,173,190,239]],[[222,173,190,239]]]}]}',
  )
})

test('a hundred inserts with the same named parameters, NULL among them', async () => {
  await post('/db/execute', ['CREATE TABLE named (id INTEGER NOT NULL PRIMARY KEY, name TEXT, age INTEGER)'])
  for (let id = 1; id <= 100; id += 1) {
    const answer = await post('/db/execute', [['INSERT INTO named(name, age) VALUES(:name, :age)', { name: 'fiona', age: null }]])
    assert.equal(answer, `{"results":[{"last_insert_id":${id},"rows_affected":1}]}`)
  }
})

test('64-bit integers go in and out unharmed', async () => {
  await post('/db/execute', ['CREATE TABLE wide (n INTEGER)'])
  await post(
    '/db/execute',
    '[["INSERT INTO wide VALUES(?)", 9223372036854775807], ["INSERT INTO wide VALUES(:n)", {"n": -9223372036854775808}]]',
  )
  assert.equal(
    await query('/db/query', 'SELECT n FROM wide'),
    '{"results":[{"columns":["n"],"types":["integer"],"values":[[9223372036854775807],[-9223372036854775808]]}]}',
  )
})

test('booleans and times are shown as such', async () => {
  await post('/db/execute', [
    'CREATE TABLE kinds (b BOOLEAN, d DATETIME)',
    "INSERT INTO kinds VALUES(1, '2024-01-02 03:04:05'), (0, 1704164645)",
  ])
  assert.equal(
    await query('/db/query', 'SELECT * FROM kinds'),
    '{"results":[{"columns":["b","d"],"types":["boolean","datetime"],"values":[[true,"2024-01-02T03:04:05Z"],[false,"2024-01-02T03:04:05Z"]]}]}',
  )
})

test('several statements in one string all run, and the last one answers', async () => {
  await post('/db/execute', ['CREATE TABLE multi (id INTEGER NOT NULL PRIMARY KEY, name TEXT)'])
  assert.equal(
    await post('/db/execute', ["INSERT INTO multi(name) VALUES('a');INSERT INTO multi(name) VALUES('b')"]),
    '{"results":[{"last_insert_id":2,"rows_affected":1}]}',
  )
  assert.equal(
    await query('/db/query', 'SELECT COUNT(*) FROM multi'),
    '{"results":[{"columns":["COUNT(*)"],"types":["integer"],"values":[[2]]}]}',
  )
})

function countTx(): Promise<string> {
  return query('/db/query?associative', 'SELECT COUNT(*) AS n FROM tx')
}

test('with transaction nothing stays when one statement fails; without, the others stay', async () => {
  await post('/db/execute', ['CREATE TABLE tx (id INTEGER PRIMARY KEY)'])
  const bad = ['INSERT INTO tx VALUES(1)', 'INSERT INTO nowhere VALUES(1)', 'INSERT INTO tx VALUES(2)']
  assert.ok((await post('/db/execute?transaction', bad)).includes('"error":"no such table: nowhere"'))
  assert.equal(await countTx(), '{"results":[{"types":{"n":"integer"},"rows":[{"n":0}]}]}')
  await post('/db/execute', bad)
  assert.equal(await countTx(), '{"results":[{"types":{"n":"integer"},"rows":[{"n":2}]}]}')
})

test('EXPLAIN of a write is a read', async () => {
  await post('/db/execute', ['CREATE TABLE expl (id INTEGER PRIMARY KEY)'])
  const answer = JSON.parse(await query('/db/query', 'EXPLAIN QUERY PLAN DELETE FROM expl')) as { results: { columns: string[] }[] }
  assert.deepEqual(answer.results[0]?.columns, ['id', 'parent', 'notused', 'detail'])
})

test('raft_index and the mixed request', async () => {
  await post('/db/execute', ['CREATE TABLE mixed (id INTEGER NOT NULL PRIMARY KEY, name TEXT)'])
  const answer = await post('/db/request?raft_index', [
    "INSERT INTO mixed(name) VALUES('a')",
    'SELECT name FROM mixed',
    'SELECT nope FROM mixed',
  ])
  assert.match(
    answer,
    /^\{"results":\[\{"last_insert_id":1,"rows_affected":1\},\{"columns":\["name"\],"types":\["text"\],"values":\[\["a"\]\]\},\{"error":"no such column: nope"\}\],"raft_index":\d+\}$/,
  )
})
