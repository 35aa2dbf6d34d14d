import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import { openFixture, forwardedWrite } from './api-fixture.ts'
import type { ApiFixture } from './api-fixture.ts'
import type { ForwardedReply, ForwardProblem } from './forwarder.ts'
import { LeaderWatch } from './leader-watch.ts'
import { ScriptedReplica, nodeId } from './scripted-node.ts'

const code = 'x-securesql-code'

function reply(status: number, refusal?: string): { readonly ok: true; readonly value: ForwardedReply } {
  const headers = refusal === undefined ? {} : { 'X-SecureSQL-Code': refusal }
  return ok({ status, headers, body: new TextEncoder().encode(refusal ?? '{"results":[{}]}') })
}

/** Resolves when the metrics say so. */
async function untilShown(api: ApiFixture, line: string): Promise<void> {
  const endMs = performance.now() + 120_000
  while (!(await api.metrics.render()).includes(`${line}\n`)) {
    assert.ok(performance.now() < endMs, `${line}: not seen`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function untilWaiting(api: ApiFixture, count: number): Promise<void> {
  return untilShown(api, `securesql_http_requests_waiting ${count}`)
}

test('a write that finds no leader is carried out as soon as there is one', async (context) => {
  const api = await openFixture(context, { leader: undefined })
  const write = api.post('/db/execute', ['DELETE FROM foo'])
  await untilWaiting(api, 1)
  api.replica.follow('n1')
  assert.equal((await write).status, 200)
  assert.equal(api.replica.proposed.length, 1)
})

test('a node that belongs to no cluster yet makes clients wait until it does', async (context) => {
  const api = await openFixture(context, { joined: false })
  const write = api.post('/db/execute', ['DELETE FROM foo'])
  await untilWaiting(api, 1)
  api.view.current = api.replica
  assert.equal((await write).status, 200)
})

for (const problem of ['not_leader', 'leader_unknown', 'transfer_in_progress'] as const) {
  test(`a write and a linearizable read that meet ${problem} are tried again, here or at the new leader`, async (context) => {
    const api = await openFixture(context)
    api.replica.proposals.push(fail({ code: problem, leader: undefined }), fail({ code: problem, leader: undefined }))
    api.replica.barriers.push(fail({ code: problem, leader: undefined }))
    assert.equal((await api.post('/db/execute', ['DELETE FROM foo'])).status, 200)
    assert.equal(api.replica.proposed.length, 1)
    assert.equal((await api.post('/db/query?level=linearizable', ['SELECT 1'])).status, 200)
    api.replica.proposals.push(fail({ code: problem, leader: undefined }))
    api.replica.beforeAnswer = () => Promise.resolve(api.replica.follow('n2'))
    api.forwarder.answer = () => Promise.resolve(reply(200))
    assert.equal((await api.post('/db/execute', ['DELETE FROM foo'])).status, 200)
    assert.equal(api.forwarder.sent.length, 1)
  })
}

for (const refusal of ['leader_unknown', 'not_ready', 'node_removed', 'state_diverged']) {
  test(`a leader that answers ${refusal} has done nothing: the request goes to the next one`, async (context) => {
    const api = await openFixture(context, { leader: 'n2' })
    api.forwarder.answer = () => {
      if (api.replica.state.leader === 'n3') return Promise.resolve(reply(200))
      api.replica.follow('n3')
      return Promise.resolve(reply(503, refusal))
    }
    assert.equal((await api.post('/db/execute', ['DELETE FROM foo'])).status, 200)
    assert.deepEqual(
      api.forwarder.sent.map(({ to }) => to),
      [nodeId('n2'), nodeId('n3')],
    )
  })
}

for (const refusal of ['overloaded', 'outcome_unknown', 'deadline', 'internal']) {
  test(`a leader's answer ${refusal} is the client's to judge: nothing is sent again`, async (context) => {
    const api = await openFixture(context, { leader: 'n2' })
    api.forwarder.answer = () => Promise.resolve(reply(503, refusal))
    assert.equal((await api.post('/db/execute', ['DELETE FROM foo'])).headers[code], refusal)
    assert.equal(api.forwarder.sent.length, 1)
  })
}

test('what may have been appended is never proposed again, whatever happens to leadership', async (context) => {
  const api = await openFixture(context)
  api.replica.proposals.push(fail({ code: 'outcome_unknown', leader: undefined }))
  api.replica.beforeAnswer = () => Promise.resolve(api.replica.follow('n2'))
  assert.equal((await api.post('/db/execute', ['DELETE FROM foo'])).headers[code], 'outcome_unknown')
  assert.deepEqual([api.replica.proposed.length, api.forwarder.sent.length], [0, 0])
  const unsure: { readonly ok: false; readonly problem: ForwardProblem } = fail({ code: 'outcome_unknown', message: 'connection lost' })
  api.forwarder.answer = () => Promise.resolve(unsure)
  assert.equal((await api.post('/db/execute', ['DELETE FROM foo'])).headers[code], 'outcome_unknown')
  assert.equal(api.forwarder.sent.length, 1)
})

test('a forwarded request waits while this node hands over, and goes back as soon as another one leads', async (context) => {
  const api = await openFixture(context)
  const transfer = fail({ code: 'transfer_in_progress', leader: undefined } as const)
  api.replica.proposals.push(transfer, transfer, transfer)
  api.replica.beforeAnswer = () => {
    if (api.replica.proposals.length === 1) api.replica.follow('n2')
    return Promise.resolve()
  }
  const answer = await api.handler.handle({ ...forwardedWrite, timeoutMs: 20_000 })
  assert.deepEqual([answer.status, answer.headers['X-SecureSQL-Code']], [503, 'leader_unknown'])
  assert.deepEqual([api.replica.proposed.length, api.forwarder.sent.length], [0, 0])
})

test('who gave up waiting is not served later: a client that asks again and again would be served as often', async (context) => {
  const api = await openFixture(context, { leader: undefined })
  const leaving = request({
    host: '127.0.0.1',
    port: api.port,
    path: '/db/execute',
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
  })
  leaving.on('error', () => {})
  leaving.end('["INSERT INTO foo VALUES(1)"]')
  await untilWaiting(api, 1)
  leaving.destroy()
  // Noticed at the next look, without any change of the leader.
  await untilShown(api, 'securesql_http_requests 0')
  api.replica.follow('n1')
  assert.equal((await api.post('/db/execute', ['INSERT INTO foo VALUES(2)'])).status, 200)
  assert.equal(api.replica.proposed.length, 1)
})

test('linearizable_timeout bounds the wait for a leader too', async (context) => {
  const api = await openFixture(context, { leader: undefined })
  const answer = await api.post('/db/query?level=linearizable&linearizable_timeout=50ms', ['SELECT 1'])
  assert.deepEqual([answer.status, answer.headers[code]], [503, 'leader_unknown'])
})

test('who waits is counted: beyond the limit requests are refused at once, and reads that need no leader still find room', async (context) => {
  const api = await openFixture(context, { leader: undefined, limits: { waitingMax: 2 } })
  const waiting = [1, 2].map(() => api.post('/db/execute?timeout=20s', ['DELETE FROM foo']))
  await untilWaiting(api, 2)
  const refused = await api.post('/db/execute?timeout=20s', ['DELETE FROM foo'])
  assert.deepEqual([refused.status, refused.headers[code], refused.headers['retry-after']], [503, 'overloaded', '1'])
  assert.equal((await api.post('/db/query?level=none', ['SELECT 1'])).status, 200)
  api.replica.follow('n1')
  assert.deepEqual(
    (await Promise.all(waiting)).map(({ status }) => status),
    [200, 200],
  )
})

test('a node that ends tells those who wait, and answers what is under way', async (context) => {
  const api = await openFixture(context, { leader: undefined })
  const waiting = api.post('/db/execute?timeout=20s', ['DELETE FROM foo'])
  await untilWaiting(api, 1)
  assert.equal((await api.ask('/db/query?q=SELECT+1&level=none')).headers['connection'], 'keep-alive')
  api.drain()
  const ready = await api.ask('/readyz')
  assert.deepEqual([ready.status, ready.body, ready.headers['connection']], [503, '[+]node is shutting down', 'close'])
  assert.equal((await api.ask('/db/query?q=SELECT+1&level=none')).status, 200)
  await api.close()
  const answer = await waiting
  assert.deepEqual([answer.status, answer.headers[code], answer.headers['connection']], [503, 'not_ready', 'close'])
})

test('what happens between looking and waiting is not missed', async () => {
  const replica = new ScriptedReplica('n1', undefined)
  const watch = new LeaderWatch({ replica: () => replica, waitersMax: 1 })
  const seen = watch.changes
  replica.follow('n2')
  assert.equal(await watch.next(seen, { attempt: 0, timeoutMs: Infinity }), 'look-again')
  assert.equal(watch.waiting, 0)
})

test('without any event a waiter looks again after a pause, and a loss of the leader wakes nobody', async () => {
  const replica = new ScriptedReplica('n1', 'n2')
  const watch = new LeaderWatch({ replica: () => replica, waitersMax: 1 })
  const seen = watch.changes
  replica.follow(undefined)
  assert.equal(watch.changes, seen)
  assert.equal(await watch.next(seen, { attempt: 0, timeoutMs: 1 }), 'look-again')
  watch.close()
  assert.equal(await watch.next(watch.changes, { attempt: 0, timeoutMs: Infinity }), 'closing')
})
