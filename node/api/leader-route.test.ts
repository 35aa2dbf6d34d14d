import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import { openFixture } from './api-fixture.ts'
import type { ForwardedRequest } from './forwarder.ts'
import { nodeId } from './scripted-node.ts'

const code = 'x-securesql-code'
const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const entries = [
  { username: 'app', password: 'secret1', perms: ['execute', 'query', 'leader-ops'] },
  { username: 'reader', password: 'secret2', perms: ['query'] },
] as const

test('a follower forwards a write as it came, with the identity it has checked and the time that is left', async (context) => {
  const api = await openFixture(context, { leader: 'n2', entries })
  api.forwarder.answer = () =>
    Promise.resolve(
      ok({
        status: 200,
        headers: { 'Content-Type': 'application/json; charset=utf-8', 'X-RQLITE-SERVED-BY': 'n2:4001' },
        body: encode('{"results":[{}]}'),
      }),
    )
  const answer = await api.ask('/db/execute?timings&timeout=100s', {
    method: 'POST',
    body: '["DELETE FROM foo"]',
    headers: { 'Content-Type': 'application/json; charset=utf-8' },
    as: 'app:secret1',
  })
  assert.deepEqual([answer.status, answer.body], [200, '{"results":[{}]}'])
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  assert.equal(answer.headers['x-rqlite-served-by'], 'n2:4002')
  const [sent] = api.forwarder.sent
  assert.ok(sent)
  const { timeoutMs, body, ...rest } = sent.request
  assert.deepEqual(
    { to: sent.to, ...rest, body: Buffer.from(body).toString() },
    {
      to: nodeId('n2'),
      method: 'POST',
      path: '/db/execute',
      query: 'timings&timeout=100s',
      contentType: 'application/json',
      identity: { kind: 'user', username: 'app' },
      body: '["DELETE FROM foo"]',
    },
  )
  assert.ok(timeoutMs > 40_000 && timeoutMs <= 100_000)
  assert.equal(api.replica.proposed.length, 0)
})

for (const level of ['weak', 'linearizable', 'strong']) {
  test(`a follower forwards a read at level ${level}`, async (context) => {
    const api = await openFixture(context, { leader: 'n2' })
    await api.ask(`/db/query?q=SELECT+1&level=${level}`)
    assert.equal(api.forwarder.sent[0]?.request.method, 'GET')
    assert.equal(api.reader.asked.length, 0)
  })
}

test('only named headers of the leader reach the client', async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  api.forwarder.answer = () =>
    Promise.resolve(
      ok({
        status: 503,
        headers: { 'X-SecureSQL-Code': 'overloaded', 'Retry-After': '1', 'Set-Cookie': 'a=b', 'X-RQLITE-VERSION': 'v9' },
        body: encode('busy\n'),
      }),
    )
  const answer = await api.post('/db/execute', ['DELETE FROM foo'])
  assert.deepEqual([answer.status, answer.body, answer.headers[code], answer.headers['retry-after']], [503, 'busy\n', 'overloaded', '1'])
  assert.equal(answer.headers['set-cookie'], undefined)
  assert.equal(answer.headers['x-rqlite-version'], 'v0.1.0')
  assert.ok((await api.metrics.render()).includes('securesql_refusals_total{code="overloaded"} 1'))
})

test("the leader's denial is a 401 that says which right was missing there", async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  api.forwarder.answer = () => Promise.resolve(ok({ status: 401, headers: { 'X-SecureSQL-Code': 'permission_denied' }, body: encode('') }))
  for (const [path, text] of [
    ['/db/execute', 'remote Execute not authorized\n'],
    ['/db/query', 'remote query not authorized\n'],
    ['/db/request', 'remote Request not authorized\n'],
    ['/leader', 'remote stepdown not authorized\n'],
  ]) {
    const answer = await api.post(path ?? '', ['SELECT 1'])
    assert.deepEqual([answer.status, answer.body, answer.headers[code]], [401, text, 'permission_denied'])
  }
})

test('redirect answers 301 with the address that the leader has advertised, whatever Host the client claims', async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  const answer = await api.post('/db/execute?redirect&timings', ['DELETE FROM foo'], { headers: { Host: 'evil.example' } })
  assert.deepEqual([answer.status, answer.headers['location']], [301, 'https://n2:4001/db/execute?redirect&timings'])
  assert.equal(api.forwarder.sent.length, 0)
})

test('redirect on the leader itself is served there', async (context) => {
  const api = await openFixture(context)
  assert.equal((await api.post('/db/execute?redirect', ['DELETE FROM foo'])).status, 200)
})

test('without a leader: 503 "leader not found"', async (context) => {
  const api = await openFixture(context, { leader: undefined })
  for (const path of ['/db/execute?timeout=0', '/db/query?timeout=1ms', '/db/request?timeout=50ms', '/db/execute?redirect&timeout=0']) {
    const answer = await api.post(path, ['SELECT 1'])
    assert.deepEqual([answer.status, answer.body, answer.headers[code]], [503, 'leader not found\n', 'leader_unknown'], path)
  }
})

test('a leader that was certainly not reached is tried until the deadline; then the client hears that nothing was changed', async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  api.forwarder.answer = () => Promise.resolve(fail({ code: 'forward_not_sent', message: 'nobody there' }))
  const answer = await api.post('/db/execute?timeout=1s', ['DELETE FROM foo'])
  assert.deepEqual([answer.status, answer.headers[code]], [503, 'forward_failed'])
  assert.match(answer.body, /nothing was changed/)
  assert.ok(api.forwarder.sent.length > 1)
})

test('a write whose answer was lost is never sent again, and its outcome is called unknown; a read just failed', async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  api.forwarder.answer = () => Promise.resolve(fail({ code: 'outcome_unknown', message: 'connection lost' }))
  const write = await api.post('/db/execute?retries=5', ['DELETE FROM foo'])
  assert.deepEqual([write.status, write.headers[code], api.forwarder.sent.length], [200, 'outcome_unknown', 1])
  const read = await api.post('/db/query?timeout=1s', ['SELECT 1'])
  assert.deepEqual([read.status, read.headers[code]], [503, 'forward_failed'])
  assert.ok(api.forwarder.sent.length > 2, 'a read changes nothing and is sent again')
})

test('a leader that turns out not to be one looks again and forwards', async (context) => {
  const api = await openFixture(context)
  api.replica.proposals.push(fail({ code: 'not_leader', leader: nodeId('n2') }))
  api.replica.beforeAnswer = () => {
    api.replica.follow('n2')
    return Promise.resolve()
  }
  api.forwarder.answer = () => Promise.resolve(ok({ status: 200, headers: {}, body: encode('{"results":[{}]}') }))
  assert.equal((await api.post('/db/execute', ['DELETE FROM foo'])).body, '{"results":[{}]}')
  assert.equal(api.forwarder.sent.length, 1)
})

function forwarded(more: Partial<ForwardedRequest> = {}): ForwardedRequest {
  return {
    method: 'POST',
    path: '/db/execute',
    query: '',
    contentType: 'application/json',
    body: encode('["DELETE FROM foo"]'),
    identity: { kind: 'user', username: 'app' },
    timeoutMs: 1000,
    ...more,
  }
}

test('what a member forwards is answered with the same bytes as if the client had asked here', async (context) => {
  const api = await openFixture(context, { entries })
  const reply = await api.handler.handle(forwarded())
  const direct = await api.post('/db/execute', ['DELETE FROM foo'], { as: 'app:secret1' })
  assert.equal(Buffer.from(reply.body).toString(), direct.body)
  assert.equal(reply.headers['Content-Type'], direct.headers['content-type'])
  assert.ok((api.replica.timeoutsMs[0] ?? 0) <= 1000)
})

test('the permissions of a forwarded identity are checked anew', async (context) => {
  const api = await openFixture(context, { entries })
  for (const identity of [{ kind: 'user', username: 'reader' }, { kind: 'user', username: 'ghost' }, { kind: 'anonymous' }] as const) {
    const reply = await api.handler.handle(forwarded({ identity }))
    assert.deepEqual([reply.status, reply.headers['X-SecureSQL-Code']], [401, 'permission_denied'])
  }
  assert.equal(api.replica.proposed.length, 0)
})

test('a forwarded request is never forwarded again, and never redirected', async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  for (const query of ['', 'redirect', 'retries=5']) {
    const reply = await api.handler.handle(forwarded({ query }))
    assert.deepEqual([reply.status, reply.headers['X-SecureSQL-Code']], [503, 'leader_unknown'])
  }
  assert.equal(api.forwarder.sent.length, 0)
})

test('a member may bring only what is meant to be forwarded, in its form and size', async (context) => {
  const api = await openFixture(context, { limits: { bodyBytesMax: 100 } })
  for (const [more, status] of [
    [{ path: '/status', method: 'GET' }, 404],
    [{ path: '/metrics', method: 'GET' }, 404],
    [{ path: '/db/backup', method: 'GET' }, 404],
    [{ path: '/db/executeX' }, 404],
    [{ method: 'GET' }, 405],
    [{ query: 'timeout=5' }, 400],
    [{ body: encode('{') }, 400],
    [{ body: new Uint8Array(101) }, 413],
  ] as const) {
    assert.equal((await api.handler.handle(forwarded(more))).status, status, JSON.stringify(more))
  }
})
