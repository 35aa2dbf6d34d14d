import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeStatus } from '../../contract/admin-api.ts'
import { fail } from '../../runtime/result.ts'
import { openFixture } from './api-fixture.ts'
import { ScriptedReplica, member, nodeId } from './scripted-node.ts'

const code = 'x-securesql-code'
const members = [member('n1'), member('n2'), member('n3', 'learner')]

test('/status holds what the operator and the clients read, before the node belongs to a cluster as well', async (context) => {
  for (const joined of [true, false]) {
    const api = await openFixture(context, { joined, replica: new ScriptedReplica('n1', 'n1', members) })
    const answer = await api.ask('/status')
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
    const status = nodeStatus.parse(JSON.parse(answer.body))
    assert.equal(status.store.node_id, 'n1')
    assert.equal(status.store.ready, joined)
    assert.equal(status.store.raft.state, joined ? 'Leader' : 'Shutdown')
    assert.deepEqual(status.store.leader, joined ? { addr: 'n1:4002', node_id: 'n1' } : { addr: '', node_id: '' })
    assert.deepEqual(
      status.store.nodes.map(({ id, suffrage }) => [id, suffrage]),
      joined
        ? [
            ['n1', 'voter'],
            ['n2', 'voter'],
            ['n3', 'nonvoter'],
          ]
        : [],
    )
  }
})

test('/status shows each role in words that clients know', async (context) => {
  const shown: unknown[] = []
  for (const role of ['leader', 'follower', 'candidate', 'pre-candidate', 'learner'] as const) {
    const replica = new ScriptedReplica('n1', 'n2')
    replica.state = { ...replica.state, role }
    shown.push(JSON.parse((await (await openFixture(context, { replica })).ask('/status?key=store.raft.state')).body))
  }
  assert.deepEqual(shown, ['Leader', 'Follower', 'Candidate', 'Candidate', 'Learner'])
})

test('/status?key=a.b.c gives one part, and of what there is not, or only by inheritance, an empty object as rqlite does', async (context) => {
  const api = await openFixture(context)
  assert.equal((await api.ask('/status?key=store.sqlite3.fk_constraints')).body, '"disabled"')
  assert.equal((await api.ask('/status?key=store.leader')).body, '{"addr":"n1:4002","node_id":"n1"}')
  assert.equal((await api.ask('/status?key=store.leader&pretty')).body, '{\n    "addr": "n1:4002",\n    "node_id": "n1"\n}')
  for (const key of ['nope', 'store.nope', '__proto__', 'store.constructor', 'build.version.length']) {
    assert.equal((await api.ask(`/status?key=${key}`)).body, '{}', key)
  }
})

test('/nodes shows voters by id, or as a list, with a live check of each', async (context) => {
  const api = await openFixture(context, { replica: new ScriptedReplica('n1', 'n2', members) })
  api.view.unreachable.add('n3')
  const n1 = '{"id":"n1","api_addr":"https://n1:4001","addr":"n1:4002","version":"v0.1.0","voter":true,"reachable":true,"leader":false}'
  const n2 =
    '{"id":"n2","api_addr":"https://n2:4001","addr":"n2:4002","version":"v0.1.0","voter":true,"reachable":true,"leader":true,"time":0.001,"time_s":"1ms"}'
  const n3 = '{"id":"n3","addr":"n3:4002","version":"unknown","voter":false,"reachable":false,"leader":false,"error":"connection refused"}'
  assert.equal((await api.ask('/nodes')).body, `{"n1":${n1},"n2":${n2}}`)
  assert.equal((await api.ask('/nodes?ver=2')).body, `{"nodes":[${n1},${n2}]}`)
  assert.equal((await api.ask('/nodes?ver=2&nonvoters')).body, `{"nodes":[${n1},${n2},${n3}]}`)
  assert.deepEqual(JSON.parse((await api.ask('/nodes?nonvoters&pretty')).body), JSON.parse(`{"n1":${n1},"n2":${n2},"n3":${n3}}`))
})

test('/nodes and /leader before the node belongs to a cluster: 503', async (context) => {
  const api = await openFixture(context, { joined: false })
  assert.deepEqual([(await api.ask('/nodes')).status, (await api.ask('/nodes')).headers[code]], [503, 'not_ready'])
  assert.deepEqual([(await api.ask('/leader')).status, (await api.ask('/leader')).body], [503, 'leader not found\n'])
})

test('GET /leader shows the leader', async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  const shown = JSON.parse((await api.ask('/leader')).body) as Record<string, unknown>
  assert.deepEqual([shown['id'], shown['leader'], shown['api_addr']], ['n2', true, 'https://n2:4001'])
})

test('POST /leader hands leadership over, to the named node or to any; elsewhere it is forwarded', async (context) => {
  const api = await openFixture(context)
  const json = { 'Content-Type': 'application/json' }
  assert.deepEqual([(await api.ask('/leader?wait=true', { method: 'POST' })).status, api.replica.transfers], [200, [undefined]])
  await api.ask('/leader', { method: 'POST', headers: json, body: '{"id":"n2"}' })
  await api.ask('/leader', { method: 'POST', headers: json, body: '{"id":null}' })
  await api.ask('/leader', { method: 'POST', body: '{"id":"n2"}' })
  assert.deepEqual(api.replica.transfers, [undefined, nodeId('n2'), undefined, undefined])
  for (const [body, status] of [
    ['{"id":"ghost"}', 503],
    ['{', 400],
    ['[]', 400],
    ['{"id":5}', 400],
  ] as const) {
    assert.equal((await api.ask('/leader', { method: 'POST', headers: json, body })).status, status, body)
  }
  api.replica.transferred = fail({ code: 'deadline', leader: undefined })
  assert.equal((await api.ask('/leader', { method: 'POST' })).headers[code], 'transfer_failed')
  const follower = await openFixture(context, { leader: 'n2' })
  await follower.ask('/leader', { method: 'POST' })
  assert.equal(follower.forwarder.sent[0]?.request.path, '/leader')
})

test('/readyz tells line by line how far the node is', async (context) => {
  const alone = await openFixture(context, { joined: false })
  const ready = async (api: typeof alone, query = ''): Promise<[number, string]> => {
    const answer = await api.ask(`/readyz${query}`)
    assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
    assert.equal(answer.headers[code], answer.status === 200 ? undefined : 'not_ready')
    return [answer.status, answer.body]
  }
  assert.deepEqual(await ready(alone, '?noleader'), [200, '[+]node ok'])
  assert.deepEqual(await ready(alone), [503, '[+]node ok\n[+]leader does not exist'])
  assert.deepEqual(await ready(await openFixture(context, { leader: undefined })), [503, '[+]node ok\n[+]leader does not exist'])
  const follower = await openFixture(context, { leader: 'n2' })
  assert.deepEqual(await ready(follower), [200, '[+]node ok\n[+]leader ok\n[+]store ok\n[+]db ok'])
  assert.deepEqual(await ready(follower, '?sync'), [200, '[+]node ok\n[+]leader ok\n[+]store ok\n[+]sync ok\n[+]db ok'])
  follower.replica.applied = fail({ code: 'deadline', leader: undefined })
  assert.deepEqual(await ready(follower, '?sync'), [503, '[+]node ok\n[+]leader ok\n[+]store ok\n[+]sync deadline'])
  follower.reader.results = [{ kind: 'error', message: 'disk I/O error', seconds: 0 }]
  assert.deepEqual(await ready(follower), [503, '[+]node ok\n[+]leader ok\n[+]store ok\n[+]db not ok: (disk I/O error, [])'])
  follower.replica.state = { ...follower.replica.state, trust: 'untrusted' }
  const untrusted = '[+]store untrusted: it may have lost entries, and has no vote until it has them again'
  assert.deepEqual(await ready(follower), [503, `[+]node ok\n[+]leader ok\n${untrusted}`])
  const members = [member('n1', 'learner'), member('n2')]
  follower.replica.state = { ...follower.replica.state, trust: 'trusted', membership: { members } }
  assert.deepEqual(await ready(follower), [503, '[+]node ok\n[+]leader ok\n[+]store learning: it has no vote until it has caught up'])
  follower.replica.state = { ...follower.replica.state, appliedIndex: 0 }
  assert.deepEqual(await ready(follower), [503, '[+]node ok\n[+]leader ok\n[+]store not ready'])
  follower.view.unreachable.add('n2')
  assert.deepEqual(await ready(follower), [503, '[+]node ok\n[+]leader not contactable: connection refused'])
})

test('/metrics is text for Prometheus', async (context) => {
  const api = await openFixture(context)
  const answer = await api.ask('/metrics')
  assert.match(answer.headers['content-type'] ?? '', /^text\/plain; version=/)
  assert.ok(answer.body.includes('securesql_refusals_total{code="overloaded"} 0'))
  assert.ok(answer.body.includes('securesql_access_decisions_total{outcome="open"}'))
})

test('/debug/vars holds a map of each name that rqlite has, counts from 0, and gives one by its key', async (context) => {
  const api = await openFixture(context)
  const read = async (query = ''): Promise<Record<string, Record<string, number>>> =>
    JSON.parse((await api.ask(`/debug/vars${query}`)).body) as Record<string, Record<string, number>>
  const before = await read()
  const names =
    'cdc.service cluster db db.wal downloader http mux proto proxy queue snapshot snapshot.plan sql.processor store uploader securesql'
  assert.deepEqual(Object.keys(before), names.split(' '))
  assert.deepEqual([before['http']?.['executions'], before['http']?.['execute_stmts_rx'], before['http']?.['auth_ok']], [0, 0, 1])
  await api.post('/db/execute', ['DELETE FROM foo', 'DELETE FROM foo'])
  const { http } = await read('?key=http')
  assert.deepEqual([http?.['executions'], http?.['execute_stmts_rx'], http?.['auth_fail']], [1, 2, 0])
  assert.deepEqual(await read('?key=http.executions'), { 'http.executions': 1 })
  assert.equal((await api.ask('/debug/vars?key=cmdline')).body, '{\n\n}\n')
  assert.equal(before['securesql']?.['securesql_refusals_total{code="overloaded"}'], 0)
})

test('/debug/vars counts what is sent on to the leader, and what did not get there', async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  await api.post('/db/execute', ['DELETE FROM foo'])
  api.forwarder.answer = () => Promise.resolve(fail({ code: 'outcome_unknown', message: 'lost' }))
  await api.post('/db/execute', ['DELETE FROM foo'])
  const { proxy } = JSON.parse((await api.ask('/debug/vars?key=proxy')).body) as Record<string, Record<string, number>>
  assert.deepEqual([proxy?.['remote_executions'], proxy?.['remote_executions_failed']], [2, 1])
})

test('/licenses shows ours first, and those of the dependencies', async (context) => {
  const api = await openFixture(context)
  const answer = await api.ask('/licenses')
  assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
  assert.match(answer.body, /^SecureSQL\n\n[^]*Apache License[^]*better-sqlite3 \d/)
})
