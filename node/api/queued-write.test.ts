import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccessEntry } from '../../contract/access-file.ts'
import { fail, ok } from '../../runtime/result.ts'
import { openFixture } from './api-fixture.ts'
import type { ApiFixture } from './api-fixture.ts'
import type { ForwardedReply } from './forwarder.ts'

const code = 'x-securesql-code'
const accepted = /^\{"results":\[\],"sequence_number":\d+\}$/
const never = { timeoutMs: 30_000 }
const soon = { timeoutMs: 1 }
const entries: readonly AccessEntry[] = [
  { username: 'anna', password: 'an apple a day', perms: ['execute', 'status'] },
  { username: 'bert', password: 'a bear in a barn', perms: ['execute', 'status'] },
]
const anna = { as: 'anna:an apple a day' }
const bert = { as: 'bert:a bear in a barn' }

function sqlOf(api: ApiFixture): readonly (readonly string[])[] {
  return api.replica.proposed.map((command) => (command.kind === 'execute' ? command.statements.map(({ sql }) => sql) : []))
}

function reply(status: number, body: string, refusal?: string): { readonly ok: true; readonly value: ForwardedReply } {
  return ok({ status, headers: refusal === undefined ? {} : { 'X-SecureSQL-Code': refusal }, body: Buffer.from(body) })
}

test('a queued write is answered at once with a sequence number, and written when a flush is asked for', async (context) => {
  const api = await openFixture(context, { writeQueue: never })
  const answer = await api.post('/db/execute?queue', ['DELETE FROM foo', ['DELETE FROM bar WHERE id = ?', 1]])
  assert.equal(answer.status, 200)
  assert.match(answer.body, accepted)
  assert.equal(api.replica.proposed.length, 0)
  const flush = await api.post('/db/execute?queue&wait', [])
  assert.match(flush.body, accepted)
  assert.deepEqual(sqlOf(api), [['DELETE FROM foo', 'DELETE FROM bar WHERE id = ?']])
  const { sequence_number: first } = JSON.parse(answer.body) as { sequence_number: number }
  const { sequence_number: second } = JSON.parse(flush.body) as { sequence_number: number }
  assert.equal(second, first + 1)
})

test('requests of one user go into one entry; values keep all their bits on the way', async (context) => {
  const api = await openFixture(context, { writeQueue: never })
  await api.ask('/db/execute?queue', { method: 'POST', body: '[["DELETE FROM a WHERE b = ?", 9007199254740993]]' })
  await api.ask('/db/execute?queue', { method: 'POST', body: ' [ ["DELETE FROM a WHERE b = ?", 1.0, "[\\"]", "x\'00ff\'"] ]\n' })
  await api.post('/db/execute?queue', ['DELETE FROM c'])
  await api.post('/db/execute?queue&wait', [])
  const [command] = api.replica.proposed
  assert.ok(command?.kind === 'execute' && api.replica.proposed.length === 1)
  assert.equal(command.transaction, false)
  assert.deepEqual(
    command.statements.map(({ parameters }) => (parameters.kind === 'positional' ? parameters.values : [])),
    [[9007199254740993n], [1, '["]', new Uint8Array([0, 255])], []],
  )
})

test('ANALYZE and its like are entries of their own, whatever was queued beside them', async (context) => {
  const api = await openFixture(context, { writeQueue: never })
  for (const sql of ['DELETE FROM a', ' ANALYZE; ', 'DELETE FROM b', 'PRAGMA optimize', 'PRAGMA user_version = 7', 'DELETE FROM c'])
    await api.post('/db/execute?queue', [sql])
  await api.post('/db/execute?queue&wait', [])
  assert.deepEqual(sqlOf(api), [
    ['DELETE FROM a'],
    [' ANALYZE; '],
    ['DELETE FROM b'],
    ['PRAGMA optimize'],
    ['PRAGMA user_version = 7', 'DELETE FROM c'],
  ])
})

test('timings and pretty shape the answer; the content type does not matter, the body is JSON', async (context) => {
  const api = await openFixture(context, { writeQueue: soon })
  const answer = await api.post('/db/execute?queue&timings&pretty', ['DELETE FROM foo'])
  assert.match(answer.body, /^\{\n {4}"results": \[\],\n {4}"time": [\d.e-]+,\n {4}"sequence_number": \d+\n\}$/)
  const text = { headers: { 'Content-Type': 'text/plain' } }
  assert.equal((await api.ask('/db/execute?queue', { method: 'POST', body: 'DELETE FROM foo', ...text })).headers[code], 'invalid_json')
  assert.equal((await api.post('/db/execute?queue', ['DELETE FROM foo'], text)).status, 200)
})

for (const [what, body, refusal] of [
  ['a statement that leaves the database', ["ATTACH 'x' AS y"], 'statement_refused'],
  ['one such statement behind a good one', ['DELETE FROM foo', 'BEGIN'], 'statement_refused'],
  ['no statement and nobody who waits', [], 'no_statements'],
  ['what is no list', {}, 'invalid_request'],
  ['a value of no kind', [['DELETE FROM foo WHERE a = ?', [['x']]]], 'unsupported_parameter_type'],
] as const) {
  test(`refused when it comes, not when it is written: ${what}`, async (context) => {
    const api = await openFixture(context, { writeQueue: soon })
    const answer = await api.post('/db/execute?queue', body)
    assert.equal(answer.headers[code], refusal)
    await api.post('/db/execute?queue&wait', [])
    assert.equal(api.replica.proposed.length, 0)
  })
}

test('a refusal of what was to be queued stands among the results and beside them: clients that queue look only here or only there', async (context) => {
  const api = await openFixture(context, { writeQueue: soon })
  const error = 'BEGIN is not allowed: send the statements of a transaction in one request with the parameter transaction'
  assert.deepEqual(JSON.parse((await api.post('/db/execute?queue', ['BEGIN'])).body), { results: [{ error }], error })
  assert.deepEqual(JSON.parse((await api.post('/db/execute', ['BEGIN'])).body), { results: [{ error }] })
})

test('without a leader nothing is queued, unless noleader asks for it; then it is written when there is one', async (context) => {
  const api = await openFixture(context, { writeQueue: soon, leader: undefined })
  const refused = await api.post('/db/execute?queue', ['DELETE FROM foo'])
  assert.deepEqual([refused.status, refused.body, refused.headers[code]], [503, 'leader not found\n', 'leader_unknown'])
  assert.match((await api.post('/db/execute?queue&noleader', ['DELETE FROM bar'])).body, accepted)
  const waited = api.post('/db/execute?queue&noleader&wait', [])
  api.replica.follow('n1')
  assert.match((await waited).body, accepted)
  assert.deepEqual(sqlOf(api), [['DELETE FROM bar']])
})

test('who waits longer than the time is told so, and the write stays queued', async (context) => {
  const api = await openFixture(context, { writeQueue: never })
  const late = await api.post('/db/execute?queue&wait&timeout=20ms', ['DELETE FROM foo'])
  assert.deepEqual([late.status, late.body, late.headers[code]], [408, 'queue wait timeout\n', 'queue_wait_timeout'])
  assert.match((await api.post('/db/execute?queue&wait', [])).body, accepted)
  assert.equal(api.replica.proposed.length, 1)
})

test('a full queue says so and when to come again', async (context) => {
  const api = await openFixture(context, { writeQueue: { ...never, capacity: 2 } })
  for (let request = 0; request < 2; request += 1) await api.post('/db/execute?queue', ['DELETE FROM foo'])
  const full = await api.post('/db/execute?queue', ['DELETE FROM foo'])
  assert.deepEqual([full.status, full.headers[code], full.headers['retry-after']], [503, 'overloaded', '1'])
})

test('through a follower each goes to the leader under the identity of who queued it', async (context) => {
  const api = await openFixture(context, { id: 'n2', writeQueue: never, entries })
  api.forwarder.answer = () => Promise.resolve(reply(200, '{"results":[{"error":"no such table: foo"}]}'))
  await api.post('/db/execute?queue', ['DELETE FROM a'], anna)
  await api.post('/db/execute?queue', [['DELETE FROM b WHERE c=?', 9007199254740993n.toString()]], anna)
  await api.post('/db/execute?queue', ['DELETE FROM d', 'DELETE FROM e'], bert)
  await api.post('/db/execute?queue&wait', [], bert)
  assert.deepEqual(
    api.forwarder.sent.map(({ to, request }) => [to, request.identity, request.query, Buffer.from(request.body).toString()]),
    [
      ['n1', { kind: 'user', username: 'anna' }, '', '["DELETE FROM a",["DELETE FROM b WHERE c=?","9007199254740993"]]'],
      ['n1', { kind: 'user', username: 'bert' }, '', '["DELETE FROM d","DELETE FROM e"]'],
    ],
  )
  assert.match(await api.metrics.render(), /securesql_queue_statement_errors_total 2\n/)
})

test('a user who loses the permission before the flush writes nothing', async (context) => {
  const api = await openFixture(context, { writeQueue: never, entries })
  await api.post('/db/execute?queue', ['DELETE FROM a'], anna)
  await api.post('/db/execute?queue', ['DELETE FROM b'], bert)
  api.access.replaceUsers([{ username: 'bert', password: 'a bear in a barn', perms: ['execute'] }])
  await api.post('/db/execute?queue&wait', [], bert)
  assert.deepEqual(sqlOf(api), [['DELETE FROM b']])
  assert.match(api.log(), /"part":"queue".*"code":"permission_denied"/)
})

test('the leader may deny what this node allowed: who waits gets its answer, others of the user nothing more', async (context) => {
  const api = await openFixture(context, { id: 'n2', writeQueue: never, entries })
  api.forwarder.answer = () => Promise.resolve(reply(401, '', 'permission_denied'))
  await api.post('/db/execute?queue', ['DELETE FROM a'], anna)
  const denied = api.post('/db/execute?queue&wait', [], anna)
  assert.deepEqual([(await denied).status, (await denied).headers[code]], [401, 'permission_denied'])
  assert.equal(api.forwarder.sent.length, 1)
})

test('a batch whose outcome is unknown is not sent again, and who waits is told', async (context) => {
  const api = await openFixture(context, { id: 'n2', writeQueue: soon })
  let answers = 0
  api.forwarder.answer = () => {
    answers += 1
    return Promise.resolve(answers === 1 ? fail({ code: 'outcome_unknown', message: 'gone' } as const) : reply(200, '{"results":[{}]}'))
  }
  const lost = await api.post('/db/execute?queue&wait', ['DELETE FROM a'])
  assert.deepEqual([lost.status, lost.headers[code]], [200, 'outcome_unknown'])
  assert.match(lost.body, /^\{"results":\[\{"error":"the outcome is unknown/)
  assert.match((await api.post('/db/execute?queue&wait', ['DELETE FROM b'])).body, accepted)
  assert.deepEqual(
    api.forwarder.sent.map(({ request }) => Buffer.from(request.body).toString()),
    ['["DELETE FROM a"]', '["DELETE FROM b"]'],
  )
})

test('a leader that could not be reached is tried again', async (context) => {
  const api = await openFixture(context, { id: 'n2', writeQueue: soon })
  let answers = 0
  api.forwarder.answer = () => {
    answers += 1
    return Promise.resolve(answers < 3 ? fail({ code: 'forward_not_sent', message: 'no link' } as const) : reply(200, '{"results":[{}]}'))
  }
  assert.match((await api.post('/db/execute?queue&wait', ['DELETE FROM a'])).body, accepted)
  assert.equal(api.forwarder.sent.length, 3)
})

test('an answer of a leader that this node does not understand is not taken for success, nor sent again', async (context) => {
  const api = await openFixture(context, { id: 'n2', writeQueue: soon })
  api.forwarder.answer = () => Promise.resolve(reply(503, 'what now\n', 'a_code_of_tomorrow'))
  assert.equal((await api.post('/db/execute?queue&wait', ['DELETE FROM a'])).status, 503)
  assert.equal(api.forwarder.sent.length, 1)
})

test('transaction makes a request of several statements an entry of its own', async (context) => {
  const api = await openFixture(context, { writeQueue: never })
  await api.post('/db/execute?queue', ['DELETE FROM a'])
  await api.post('/db/execute?queue&transaction', ['DELETE FROM b', 'DELETE FROM c'])
  await api.post('/db/execute?queue&transaction', ['DELETE FROM d'])
  await api.post('/db/execute?queue', ['DELETE FROM e'])
  await api.post('/db/execute?queue&wait', [])
  assert.deepEqual(
    api.replica.proposed.map((command) => (command.kind === 'execute' ? [command.transaction, command.statements.length] : [])),
    [
      [false, 1],
      [true, 2],
      [false, 2],
    ],
  )
})

test('a node that ends writes what is queued first', async (context) => {
  const api = await openFixture(context, { writeQueue: never })
  await api.post('/db/execute?queue', ['DELETE FROM a'])
  await api.close()
  assert.deepEqual(sqlOf(api), [['DELETE FROM a']])
})

test('a node that ends without a leader says what is lost', async (context) => {
  const api = await openFixture(context, { writeQueue: never, leader: undefined })
  await api.post('/db/execute?queue&noleader', ['DELETE FROM a'])
  const waiting = api.post('/db/execute?queue&noleader&wait', ['DELETE FROM b'])
  const endMs = performance.now() + 120_000
  while (!(await api.metrics.render()).includes('securesql_queue_requests 2\n')) {
    assert.ok(performance.now() < endMs, 'the second never came')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await api.close()
  assert.equal((await waiting).headers[code], 'not_ready')
  assert.match(api.log(), /"outcome":"given_up","code":"not_ready","requests":2/)
})

test('the status shows the queue', async (context) => {
  const api = await openFixture(context, { writeQueue: never })
  const { sequence_number: last } = JSON.parse((await api.post('/db/execute?queue', ['DELETE FROM a'])).body) as { sequence_number: number }
  assert.deepEqual(JSON.parse((await api.ask('/status?key=http.queue._default')).body), {
    batch_size: 128,
    max_size: 1024,
    sequence_number: last,
    timeout: '30s',
  })
})
