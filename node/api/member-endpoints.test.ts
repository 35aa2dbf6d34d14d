// DELETE /remove, POST /check, POST /snapshot, POST /reap, and what a node answers that is no member any more.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import { openFixture, forwardedWrite } from './api-fixture.ts'
import type { Answer, ApiFixture } from './api-fixture.ts'
import { askForReport, askForStateHash } from './check-endpoints.ts'
import type { Forwarder } from './forwarder.ts'
import { ScriptedReplica, member, nodeId } from './scripted-node.ts'

const code = 'x-securesql-code'
const remove = (api: ApiFixture, id: string, as?: string): Promise<Answer> =>
  api.ask('/remove', { method: 'DELETE', body: JSON.stringify({ id }), ...(as === undefined ? {} : { as }) })
const entries = [
  { username: 'keeper', password: 'secret1', perms: ['remove', 'snapshot'] },
  { username: 'reader', password: 'secret2', perms: ['query', 'status'] },
] as const

describe('DELETE /remove', () => {
  test('takes the member out and answers 200 without a body', async (context) => {
    const api = await openFixture(context)
    const answer = await remove(api, 'n3')
    assert.deepEqual([answer.status, answer.body, answer.headers['x-rqlite-served-by']], [200, '', 'n1:4001'])
    assert.deepEqual(api.replica.membershipChanges, [{ kind: 'remove', id: 'n3' }])
    assert.deepEqual(api.replica.transfers, [])
  })

  test('an id that is no member is removed already', async (context) => {
    const api = await openFixture(context)
    assert.equal((await remove(api, 'ghost')).status, 200)
    assert.deepEqual(api.replica.membershipChanges, [])
  })

  for (const [body, refusal] of [
    ['', 'invalid_json'],
    ['{', 'invalid_json'],
    ['["n3"]', 'invalid_json'],
    ['{}', 'invalid_request'],
    ['{"id":""}', 'invalid_request'],
    ['{"id":3}', 'invalid_request'],
    ['{"node":"n3"}', 'invalid_request'],
    ['{"id":"n3","force":true}', 'invalid_request'],
  ] as const) {
    test(`refuses the body ${body === '' ? '(none)' : body} with 400`, async (context) => {
      const api = await openFixture(context)
      const answer = await api.ask('/remove', { method: 'DELETE', body })
      assert.deepEqual([answer.status, answer.headers[code]], [400, refusal])
      assert.deepEqual(api.replica.membershipChanges, [])
    })
  }

  test('needs the permission, and the method', async (context) => {
    const api = await openFixture(context, { entries })
    assert.equal((await remove(api, 'n3')).status, 401)
    assert.equal((await remove(api, 'n3', 'reader:secret2')).status, 401)
    assert.equal((await api.post('/remove', { id: 'n3' }, { as: 'keeper:secret1' })).status, 405)
    assert.equal((await remove(api, 'n3', 'keeper:secret1')).status, 200)
  })

  test('is forwarded to the leader with the identity; a denial there is said in rqlite’s words', async (context) => {
    const api = await openFixture(context, { leader: 'n2', entries })
    api.forwarder.answer = () => Promise.resolve(ok({ status: 200, headers: {}, body: new Uint8Array() }))
    const answer = await remove(api, 'n3', 'keeper:secret1')
    assert.deepEqual([answer.status, answer.headers['x-rqlite-served-by']], [200, 'n2:4002'])
    const sent = api.forwarder.sent[0]?.request
    assert.deepEqual([sent?.method, sent?.path, sent?.identity], ['DELETE', '/remove', { kind: 'user', username: 'keeper' }])
    const denied = { status: 401, headers: { 'X-SecureSQL-Code': 'permission_denied' }, body: new Uint8Array() }
    api.forwarder.answer = () => Promise.resolve(ok(denied))
    assert.equal((await remove(api, 'n3', 'keeper:secret1')).body, 'remote remove node not authorized\n')
    const redirect = await api.ask('/remove?redirect', { method: 'DELETE', body: '{"id":"n3"}', as: 'keeper:secret1' })
    assert.deepEqual([redirect.status, redirect.headers['location']], [301, 'https://n2:4001/remove?redirect'])
  })

  test('refuses to take the last voter, learners or not', async (context) => {
    const members = [member('n1'), member('n2', 'learner'), member('n3', 'non-voter')]
    const api = await openFixture(context, { replica: new ScriptedReplica('n1', 'n1', members) })
    const answer = await remove(api, 'n1')
    assert.deepEqual([answer.status, answer.headers[code]], [500, 'last_voter'])
    assert.deepEqual([api.replica.membershipChanges, api.replica.transfers], [[], []])
    assert.equal((await remove(api, 'n3')).status, 200)
  })

  test('a leader that is to go hands over, and the new one removes it', async (context) => {
    const api = await openFixture(context)
    api.replica.onTransfer = () => api.replica.follow('n2')
    api.forwarder.answer = () => Promise.resolve(ok({ status: 200, headers: {}, body: new Uint8Array() }))
    assert.equal((await remove(api, 'n1')).status, 200)
    assert.deepEqual([api.replica.transfers, api.replica.membershipChanges], [[undefined], []])
    assert.deepEqual(
      api.forwarder.sent.map(({ to, request }) => [to, request.path]),
      [[nodeId('n2'), '/remove']],
    )
  })

  test('a leader that nobody takes over from removes itself', async (context) => {
    const api = await openFixture(context)
    api.replica.transferred = fail({ code: 'deadline', leader: nodeId('n1') })
    assert.equal((await remove(api, 'n1')).status, 200)
    assert.deepEqual(api.replica.membershipChanges, [{ kind: 'remove', id: 'n1' }])
  })

  test('waits while another change is under way, until its deadline', async (context) => {
    const api = await openFixture(context)
    const pending = fail({ code: 'membership_change_pending', leader: nodeId('n1') } as const)
    api.replica.membershipAnswers.push(pending, pending)
    assert.equal((await remove(api, 'n3')).status, 200)
    assert.equal(api.replica.membershipChanges.length, 1)
    api.replica.membershipAnswers.push(...Array.from({ length: 100 }, () => pending))
    const late = await api.ask('/remove?timeout=50ms', { method: 'DELETE', body: '{"id":"n3"}' })
    assert.deepEqual([late.status, late.headers[code]], [503, 'membership_change_pending'])
  })

  test('an unknown outcome is said, and not tried again', async (context) => {
    const api = await openFixture(context)
    api.replica.membershipAnswers.push(fail({ code: 'outcome_unknown', leader: undefined }))
    assert.equal((await remove(api, 'n3')).headers[code], 'outcome_unknown')
    assert.equal(api.replica.membershipChanges.length, 0)
  })
})

interface CheckShown {
  readonly result: unknown
  readonly faults: unknown
  readonly index: unknown
  readonly latest_index: unknown
  readonly wanted: unknown
}

describe('POST /check', () => {
  test('POST /check begins one on every node', async (context) => {
    const api = await openFixture(context)
    const answer = await api.ask('/check', { method: 'POST' })
    assert.deepEqual([answer.status, answer.body, api.checks.begun], [200, '{"index":12}', 1])
    api.checks.answer = fail({ code: 'outcome_unknown', leader: undefined })
    assert.equal((await api.ask('/check', { method: 'POST' })).headers[code], 'outcome_unknown')
    assert.equal((await api.ask('/check')).status, 405)
  })

  test('goes to the leader, and needs the permission', async (context) => {
    const api = await openFixture(context, { leader: 'n2' })
    await api.ask('/check', { method: 'POST' })
    assert.deepEqual([api.checks.begun, api.forwarder.sent.map(({ request }) => request.path)], [0, ['/check']])
    const closed = await openFixture(context, { entries })
    assert.equal((await closed.ask('/check', { method: 'POST' })).status, 401)
    assert.equal(closed.checks.begun, 0)
  })

  test('what a node has found is for other members, also while it serves nothing; clients see it in /status', async (context) => {
    const api = await openFixture(context)
    assert.equal((await api.ask('/check/report')).status, 404)
    api.checks.finding = { kind: 'found', index: 9, faults: ['damage'], content: undefined }
    api.checks.itsResult = 'differs'
    api.replica.itsStanding = 'diverged'
    const { check } = (JSON.parse((await api.ask('/status')).body) as { store: { check: CheckShown } }).store
    assert.deepEqual([check.result, check.faults, check.index, check.latest_index, check.wanted], ['differs', ['damage'], 9, 9, true])
    const asked: string[] = []
    const forwarder: Forwarder = {
      forward: async (to, request) => {
        asked.push(`${to} ${request.method} ${request.path}`)
        return ok(await api.handler.handle(request))
      },
    }
    assert.deepEqual(await askForReport(forwarder, nodeId('n3')), api.checks.report())
    assert.deepEqual(
      [await askForStateHash(forwarder, nodeId('n3'), 7), await askForStateHash(forwarder, nodeId('n3'), 8)],
      ['00112233445566ff', undefined],
    )
    assert.deepEqual(asked.slice(0, 1), ['n3 POST /check/report'])
    const strange: Forwarder = { forward: () => Promise.resolve(ok({ status: 200, headers: {}, body: Buffer.from('{"isWanted":1}') })) }
    assert.equal(await askForReport(strange, nodeId('n3')), undefined)
  })
})

describe('POST /snapshot', () => {
  test('200 when the log was shortened, 204 when nothing could go, on this very node', async (context) => {
    const api = await openFixture(context, { leader: 'n2' })
    const post = (query = ''): Promise<Answer> => api.ask(`/snapshot${query}`, { method: 'POST' })
    assert.deepEqual([(await post()).status, (await post()).body], [200, ''])
    await post('?trailing_logs=7')
    await post('?trailing_logs=0')
    assert.deepEqual(api.compactor.asked, [undefined, undefined, 7, undefined])
    api.compactor.answer = ok('nothing-new')
    const nothing = await post()
    assert.deepEqual([nothing.status, nothing.body, nothing.headers['content-length']], [204, '', undefined])
    assert.equal(api.forwarder.sent.length, 0)
    api.compactor.answer = fail({ code: 'deadline', leader: undefined })
    assert.equal((await post()).headers[code], 'deadline')
    for (const query of ['?trailing_logs=x', '?trailing_logs=-1']) {
      const answer = await post(query)
      assert.deepEqual([answer.status, answer.body], [400, 'trailing_logs is not a valid integer\n'])
    }
  })

  test('needs the permission, the method, and a cluster', async (context) => {
    const api = await openFixture(context, { entries })
    for (const path of ['/snapshot', '/reap']) {
      assert.equal((await api.ask(path, { method: 'POST', as: 'reader:secret2' })).status, 401)
      assert.equal((await api.ask(path, { method: 'GET', as: 'keeper:secret1' })).status, 405)
      assert.equal((await api.ask(path, { method: 'POST', as: 'keeper:secret1' })).status, 200)
    }
    const alone = await openFixture(context, { joined: false })
    assert.equal((await alone.ask('/snapshot', { method: 'POST' })).headers[code], 'not_ready')
  })

  test('POST /reap has nothing to do', async (context) => {
    const api = await openFixture(context)
    const answer = await api.ask('/reap', { method: 'POST' })
    assert.deepEqual([answer.status, answer.body], [200, '{"snapshots_reaped":0,"wals_checkpointed":0}'])
  })
})

for (const [standing, refusal] of [
  ['removed', 'node_removed'],
  ['diverged', 'state_diverged'],
] as const) {
  describe(`a node that is ${standing}`, () => {
    test('serves nothing of its data, and nothing that changes any', async (context) => {
      const api = await openFixture(context)
      api.replica.itsStanding = standing
      for (const [path, ask] of [
        ['/db/execute', { method: 'POST', body: '["DELETE FROM foo"]' }],
        ['/db/request', { method: 'POST', body: '["SELECT 1"]' }],
        ['/db/query?q=SELECT+1&level=none', {}],
        ['/db/query?q=SELECT+1&level=weak', {}],
        ['/db/query?q=SELECT+1&level=linearizable', {}],
        ['/nodes', {}],
        ['/leader', {}],
        ['/leader', { method: 'POST' }],
        ['/remove', { method: 'DELETE', body: '{"id":"n3"}' }],
        ['/snapshot', { method: 'POST' }],
      ] as const) {
        const answer = await api.ask(path, ask)
        assert.deepEqual([answer.status, answer.headers[code]], [503, refusal], path)
      }
      assert.deepEqual([api.replica.proposed, api.replica.membershipChanges, api.reader.asked], [[], [], []])
      assert.ok((await api.metrics.render()).includes('securesql_node_serves_data 0\n'))
    })

    test('tells probes, the operator and members so', async (context) => {
      const api = await openFixture(context)
      assert.ok((await api.metrics.render()).includes('securesql_node_serves_data 1\n'))
      api.replica.itsStanding = standing
      const ready = await api.ask('/readyz')
      assert.deepEqual([ready.status, ready.headers[code], ready.body.startsWith('[+]node ')], [503, refusal, true])
      assert.equal((await api.ask('/readyz?noleader')).status, 200)
      const status = JSON.parse((await api.ask('/status?key=store')).body) as Record<string, unknown>
      assert.deepEqual([status['standing'], status['ready']], [standing, false])
      const forwarded = await api.handler.handle({ ...forwardedWrite, timeoutMs: 1000 })
      assert.equal(forwarded.headers['X-SecureSQL-Code'], refusal)
    })

    test('tells so to who was waiting for a leader, and to whom the replica refuses', async (context) => {
      const api = await openFixture(context)
      api.replica.proposals.push(fail({ code: 'leader_unknown', leader: undefined }))
      api.replica.beforeAnswer = () => {
        api.replica.itsStanding = standing
        return Promise.resolve()
      }
      assert.equal((await api.post('/db/execute', ['DELETE FROM foo'])).headers[code], refusal)
      const other = await openFixture(context)
      other.replica.proposals.push(fail({ code: standing, leader: undefined }))
      assert.equal((await other.post('/db/execute', ['DELETE FROM foo'])).headers[code], refusal)
    })
  })
}
