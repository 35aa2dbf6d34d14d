import assert from 'node:assert/strict'
import http from 'node:http'
import { PassThrough } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import { decodeLoadStep, encodeLoadStep, isLoadStep, loadChunkBytesMax } from '../command/load-step.ts'
import { eventually } from '../replica/eventually.ts'
import { openFixture, type ApiFixture } from './api-fixture.ts'
import { ScriptedReplica, member } from './scripted-node.ts'

const code = 'x-securesql-code'
const entries = [
  { username: 'bob', password: 'secret1', perms: ['backup', 'load'] },
  { username: 'eve', password: 'secret2', perms: ['query', 'execute'] },
] as const
const file = Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(2 * loadChunkBytesMax + 1000, 7)])
const post = (body: string | Uint8Array) => ({ method: 'POST', body, as: 'bob:secret1' })
const taken = ok({ index: 8, term: 3, outcome: { results: [{ kind: 'written', lastInsertId: 0n, rowsAffected: 0, seconds: 0 }] } })

async function open(context: TestContext, options: { leader?: string; members?: number } = {}): Promise<ApiFixture> {
  const names = ['n1', 'n2', 'n3'].slice(0, options.members ?? 3)
  const replica = new ScriptedReplica(
    'n1',
    options.leader ?? 'n1',
    names.map((name) => member(name)),
  )
  return openFixture(context, { replica, entries: [...entries] })
}

test('backup, load and boot ask for the permission first, then for the method', async (context) => {
  const api = await open(context)
  for (const [method, path] of [
    ['GET', '/db/backup'],
    ['POST', '/db/load'],
    ['POST', '/boot'],
  ] as const) {
    for (const as of [undefined, 'eve:secret2'])
      assert.equal((await api.ask(path, { method, ...(as === undefined ? {} : { as }) })).status, 401)
    const wrong = await api.ask(path, { method: 'DELETE', as: 'bob:secret1' })
    assert.deepEqual([wrong.status, wrong.headers.allow], [405, `OPTIONS, ${method}`], path)
  }
  assert.deepEqual([api.backups.asked, api.intake.received, api.replica.proposed], [[], [], []])
})

test('a backup is streamed, of a state that the leader has confirmed', async (context) => {
  const api = await open(context)
  const answer = await api.ask('/db/backup', { as: 'bob:secret1' })
  assert.deepEqual([answer.status, answer.body], [200, 'the backup'])
  assert.equal(answer.headers['content-type'], 'application/octet-stream')
  assert.equal(answer.headers['x-rqlite-served-by'], 'n1:4001')
  assert.equal(api.replica.timeoutsMs.length, 1)
  const sql = await api.ask('/db/backup?fmt=sql&tables=a,b', { as: 'bob:secret1' })
  assert.equal(sql.headers['content-type'], 'application/sql')
  await api.ask('/db/backup?fmt=delete&vacuum&compress', { as: 'bob:secret1' })
  const shown = api.backups.asked.map(({ format, vacuum, compress, tables }) => ({ format, vacuum, compress, tables }))
  assert.deepEqual(shown, [
    { format: 'binary', vacuum: false, compress: false, tables: [] },
    { format: 'sql', vacuum: false, compress: false, tables: ['a', 'b'] },
    { format: 'delete', vacuum: true, compress: true, tables: [] },
  ])
})

test('a backup in no format, or of nothing that can be made, is refused', async (context) => {
  const api = await open(context)
  for (const query of ['fmt=xml', 'fmt=sql&vacuum']) {
    const answer = await api.ask(`/db/backup?${query}`, { as: 'bob:secret1' })
    assert.deepEqual([answer.status, answer.body, answer.headers[code]], [400, 'invalid backup format\n', 'invalid_parameter'])
  }
  assert.equal((await api.ask('/db/backup?tables=a', { as: 'bob:secret1' })).status, 400)
  assert.deepEqual(api.backups.asked, [])
  api.backups.answer = () => fail({ code: 'backup_refused', message: 'no such table: a' })
  const refused = await api.ask('/db/backup?fmt=sql&tables=a', { as: 'bob:secret1' })
  assert.deepEqual([refused.status, refused.body, refused.headers[code]], [400, 'no such table: a\n', 'backup_refused'])
})

test('a follower makes its own backup behind a barrier, without a leader it waits, and noleader asks nobody', async (context) => {
  const api = await open(context, { leader: 'n2' })
  assert.equal((await api.ask('/db/backup', { as: 'bob:secret1' })).body, 'the backup')
  assert.equal(api.forwarder.sent.length, 0)
  const moved = await api.ask('/db/backup?redirect&fmt=sql', { as: 'bob:secret1' })
  assert.deepEqual([moved.status, moved.headers.location], [301, 'https://n2:4001/db/backup?redirect&fmt=sql'])
  const asked = api.replica.timeoutsMs.length
  api.replica.barriers.push(fail({ code: 'leader_unknown', leader: undefined }))
  assert.equal((await api.ask('/db/backup?noleader', { as: 'bob:secret1' })).status, 200)
  assert.equal(api.replica.timeoutsMs.length, asked)
  for (let count = 0; count < 100; count += 1) api.replica.barriers.push(fail({ code: 'leader_unknown', leader: undefined }))
  const none = await api.ask('/db/backup?timeout=200ms', { as: 'bob:secret1' })
  assert.deepEqual([none.status, none.headers[code]], [503, 'leader_unknown'])
})

test('a client that goes away ends the backup, and a backup that fails breaks the reply off', async (context) => {
  const api = await open(context)
  const endless = new PassThrough()
  api.backups.answer = () => ok(endless)
  const authorization = `Basic ${Buffer.from('bob:secret1').toString('base64')}`
  const begin = (): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const message = http.get({ host: '127.0.0.1', port: api.port, path: '/db/backup', headers: { authorization }, agent: false }, resolve)
      message.on('error', reject)
    })
  endless.write('some')
  const reply = await begin()
  reply.on('error', () => {})
  reply.destroy()
  await eventually(() => endless.destroyed, 'the stream is ended with its client')
  const broken = new PassThrough()
  api.backups.answer = () => ok(broken)
  broken.write('some')
  const second = await begin()
  const ended = new Promise<unknown>((resolve) => {
    second.once('error', resolve)
    second.once('end', () => resolve('whole'))
    second.resume()
  })
  broken.destroy(new Error('the disk'))
  assert.notEqual(await ended, 'whole')
})

test('a file is examined, then goes through the log step by step', async (context) => {
  const api = await open(context)
  const answer = await api.ask('/db/load', post(file))
  assert.deepEqual([answer.status, answer.body, answer.headers['x-rqlite-served-by']], [200, '{"results":[]}', 'n1:4001'])
  assert(file.equals(api.intake.received[0] ?? new Uint8Array()))
  const { steps } = api.replica
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ['load-begin', 'load-chunk', 'load-chunk', 'load-chunk', 'load-end'],
  )
  assert(Buffer.concat(steps.flatMap((step) => (step.kind === 'load-chunk' ? [step.data] : []))).equals(file))
  assert.equal(new Set(steps.map(({ id }) => id)).size, 1)
  assert.deepEqual([steps.at(-1)?.kind, api.intake.discarded], ['load-end', 1])
})

test('a refused file is never proposed, and the next one is taken', async (context) => {
  const api = await open(context)
  api.intake.problem = { code: 'file_refused', message: 'invalid SQLite data: it is not whole' }
  const refused = await api.ask('/db/load', post(file))
  assert.deepEqual([refused.status, refused.body, refused.headers[code]], [400, 'invalid SQLite data: it is not whole\n', 'file_refused'])
  assert.deepEqual([api.replica.steps, api.intake.discarded], [[], 1])
  api.intake.isBusy = true
  assert.equal((await api.ask('/db/load', post(file))).headers[code], 'overloaded')
  const zipped = await api.ask('/db/load', post(new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])))
  assert.deepEqual([zipped.status, zipped.headers[code]], [400, 'file_refused'])
})

test('a step whose outcome is unknown is sent again, another refusal ends the load and gives it up', async (context) => {
  const api = await open(context)
  api.replica.proposals.push(taken, fail({ code: 'outcome_unknown', leader: undefined }))
  assert.equal((await api.ask('/db/load', post(file))).status, 200)
  const offsets = api.replica.steps.flatMap((step) => (step.kind === 'load-chunk' ? [step.offset] : []))
  assert.deepEqual(offsets, [0, 0, loadChunkBytesMax, 2 * loadChunkBytesMax])
  api.replica.steps.length = 0
  const replaced = ok({ index: 9, term: 3, outcome: { results: [{ kind: 'error', message: 'load_replaced', seconds: 0 }] } })
  api.replica.proposals.push(taken, replaced)
  const answer = await api.ask('/db/load', post(file))
  assert.deepEqual([answer.status, answer.headers[code]], [409, 'load_replaced'])
  assert.deepEqual(
    api.replica.steps.map(({ kind }) => kind),
    ['load-begin', 'load-chunk', 'load-abort'],
  )
})

test('a follower has the leader propose each step, as the user who sent the file', async (context) => {
  const api = await open(context, { leader: 'n2' })
  assert.equal((await api.ask('/db/load', post(file))).body, '{"results":[]}')
  const { sent } = api.forwarder
  assert.equal(sent.length, 5)
  for (const { to, request } of sent) {
    assert.deepEqual([to, request.path, request.query], ['n2', '/db/load/step', ''])
    assert.deepEqual(request.identity, { kind: 'user', username: 'bob' })
    assert(isLoadStep(request.body))
  }
  const moved = await api.ask('/db/load?redirect', post(file))
  assert.deepEqual([moved.status, moved.headers.location], [301, 'https://n2:4001/db/load?redirect'])
})

test('steps are taken from members alone, with the right of the user behind them', async (context) => {
  const api = await open(context)
  const step = encodeLoadStep({ kind: 'load-abort', id: '00112233445566778899aabbccddeeff' })
  assert.deepEqual([(await api.ask('/db/load/step', post(step))).status, api.replica.steps], [404, []])
  const forwarded = { method: 'POST', path: '/db/load/step', query: '', contentType: '', body: step, timeoutMs: 1_000 }
  assert.equal((await api.handler.handle({ ...forwarded, identity: { kind: 'user', username: 'eve' } })).status, 401)
  assert.equal((await api.handler.handle({ ...forwarded, identity: { kind: 'user', username: 'bob' } })).status, 200)
  const [only] = api.replica.steps
  const decoded = decodeLoadStep(step)
  assert(decoded.ok)
  assert.deepEqual(only, decoded.value)
  const other = await api.handler.handle({ ...forwarded, body: Buffer.from('["x"]'), identity: { kind: 'user', username: 'bob' } })
  assert.equal(other.status, 400)
})

test('text is one transaction, answered with its last result; on a follower the leader gets the text', async (context) => {
  const api = await open(context)
  const dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t (a);\nINSERT INTO t VALUES('x');\nCOMMIT;\n"
  api.replica.results = [
    { kind: 'written', lastInsertId: 0n, rowsAffected: 0, seconds: 0 },
    { kind: 'written', lastInsertId: 1n, rowsAffected: 1, seconds: 0 },
  ]
  const answer = await api.ask('/db/load', post(dump))
  assert.deepEqual([answer.status, answer.body], [200, '{"results":[{"last_insert_id":1,"rows_affected":1}]}'])
  const [command] = api.replica.proposed
  assert.deepEqual(
    [command?.transaction, command?.statements.map(({ sql }) => sql)],
    [true, ['CREATE TABLE t (a)', "INSERT INTO t VALUES('x')"]],
  )
  for (const [body, wanted] of [
    ['', '{"results":[]}'],
    ['-- nothing', '{"results":[]}'],
  ] as const)
    assert.equal((await api.ask('/db/load', post(body))).body, wanted)
  const refused = await api.ask('/db/load', post("INSERT INTO t VALUES (1); ATTACH 'x' AS y"))
  assert.deepEqual([refused.status, refused.headers[code]], [200, 'statement_refused'])
  const noText = await api.ask('/db/load', post(new Uint8Array([0xff, 0xfe, 0xfd, ...new Uint8Array(30)])))
  assert.deepEqual([noText.status, noText.headers[code]], [400, 'invalid_request'])
  assert.equal(api.replica.proposed.length, 1)
  const follower = await open(context, { leader: 'n2' })
  await follower.ask('/db/load', post(dump))
  const [sent] = follower.forwarder.sent
  assert.deepEqual([sent?.request.path, Buffer.from(sent?.request.body ?? []).toString()], ['/db/load', dump])
})

const longText = Buffer.from(`CREATE TABLE t (a); -- ${'x'.repeat(9 * 1024 * 1024)}`)
const shellText = Buffer.from(
  "PRAGMA writable_schema=ON; INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','ft','ft',0,'CREATE VIRTUAL TABLE ft USING fts5(a)'); PRAGMA writable_schema=OFF;",
)

test('text that no entry of the log can carry becomes a file, which may only take the place of nothing', async (context) => {
  for (const text of [longText, shellText]) {
    const api = await open(context)
    const answer = await api.ask('/db/load', post(text))
    assert.deepEqual([answer.status, answer.body], [200, '{"results":[]}'])
    assert.deepEqual(api.intake.forms, ['text'])
    assert.equal(Buffer.compare(api.intake.received[0] ?? new Uint8Array(0), text), 0)
    assert.equal(api.reader.asked.length, 1, 'it has looked whether there is anything')
    const last = api.replica.steps.at(-1)
    assert(last?.kind === 'load-end' && last.onto === 'nothing')
    assert.deepEqual([api.replica.proposed, api.intake.discarded], [[], 1])
  }
})

test('where there is something, such a text is refused before it is received, and says what to do; and so it is when something has come meanwhile', async (context) => {
  const api = await open(context)
  api.reader.results = [{ kind: 'rows', columns: [{ name: '1', declaredType: '' }], rows: [[1n]], seconds: 0 }]
  const refused = await api.ask('/db/load', post(shellText))
  assert.deepEqual([refused.status, refused.headers[code], api.intake.forms, api.replica.steps], [409, 'database_not_empty', [], []])
  assert.match(
    refused.body,
    /into an empty database only; here, send it in parts, or add it to a backup \(sqlite3 backup\.db < dump\.sql\)/,
  )
  api.reader.results = []
  const meanwhile = ok({ index: 9, term: 3, outcome: { results: [{ kind: 'error', message: 'load_onto_something', seconds: 0 }] } })
  api.replica.proposals.push(taken, taken, meanwhile)
  const late = await api.ask('/db/load', post(shellText))
  assert.deepEqual([late.status, late.headers[code]], [409, 'database_not_empty'])
})

test('boot is for the leader of a cluster of one node, and for files only', async (context) => {
  const alone = await open(context, { members: 1 })
  const booted = await alone.ask('/boot', post(file))
  assert.deepEqual([booted.status, booted.body, alone.replica.steps.at(-1)?.kind], [200, '', 'load-end'])
  const text = await alone.ask('/boot', post('CREATE TABLE t (a)'))
  assert.deepEqual([text.status, text.body, text.headers[code]], [400, 'invalid SQLite data\n', 'file_refused'])
  for (const [api, words] of [
    [await open(context), 'not single-node\n'],
    [await open(context, { leader: 'n2' }), 'not leader\n'],
  ] as const) {
    const answer = await api.ask('/boot', post(file))
    assert.deepEqual([answer.status, answer.body, answer.headers[code]], [503, words, 'not_single_node'])
    assert.deepEqual([api.intake.received, api.replica.steps, api.forwarder.sent], [[], [], []])
  }
})

test('a file may take longer than a request, as long as it keeps coming; one that stops is refused', async (context) => {
  const api = await openFixture(context, { limits: { requestTimeoutMs: 2_000 } })
  const send = (gapMs: number): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const message = http.request({ host: '127.0.0.1', port: api.port, path: '/db/load', method: 'POST', agent: false }, (reply) => {
        reply.resume()
        resolve(reply.statusCode)
      })
      message.on('error', (error) => ('code' in error && error.code === 'EPIPE' ? undefined : reject(error)))
      message.write(file.subarray(0, 100))
      let sent = 0
      const timer = setInterval(() => {
        if (message.destroyed) return clearInterval(timer)
        message.write(Buffer.alloc(1024 * 1024))
        sent += 1
        if (sent < 6) return
        clearInterval(timer)
        message.end()
      }, gapMs)
      message.once('close', () => clearInterval(timer))
    })
  assert.equal(await send(500), 200)
  assert.equal(await send(60_000), 408)
  assert.equal(api.intake.discarded, 2)
})
