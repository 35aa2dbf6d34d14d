import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import type { ReplicaProblem } from '../replica/replica-port.ts'
import { openFixture } from './api-fixture.ts'
import { ScriptedReplica, member } from './scripted-node.ts'

const code = 'x-securesql-code'

test('execute proposes one command and answers with the results of its statements', async (context) => {
  const api = await openFixture(context)
  const answer = await api.post('/db/execute', ['INSERT INTO foo(name) VALUES("fiona")', ['INSERT INTO foo VALUES(?)', 5]])
  assert.equal(answer.status, 200)
  assert.equal(answer.body, '{"results":[{"last_insert_id":1,"rows_affected":1}]}')
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  assert.equal(answer.headers['x-rqlite-served-by'], 'n1:4001')
  assert.deepEqual(
    api.replica.proposed.map(({ kind, transaction, statements }) => ({ kind, transaction, statements })),
    [
      {
        kind: 'execute',
        transaction: false,
        statements: [
          { sql: 'INSERT INTO foo(name) VALUES("fiona")', parameters: { kind: 'positional', values: [] } },
          { sql: 'INSERT INTO foo VALUES(?)', parameters: { kind: 'positional', values: [5n] } },
        ],
      },
    ],
  )
})

test('each command carries the time and a seed of its own', async (context) => {
  const api = await openFixture(context)
  const before = Date.now()
  await api.post('/db/execute', ['DELETE FROM foo'])
  await api.post('/db/execute', ['DELETE FROM foo'])
  const [first, second] = api.replica.proposed
  assert.ok(first && second && first.proposedAtMs >= before && first.proposedAtMs <= Date.now())
  assert.notEqual(first.seed, second.seed)
})

test('transaction, raft_index and timings are honoured, and a flag counts by being there', async (context) => {
  const api = await openFixture(context)
  api.replica.results = [{ kind: 'written', lastInsertId: 2n, rowsAffected: 1, seconds: 0.25 }]
  const answer = await api.post('/db/execute?transaction=false&raft_index&timings', ['DELETE FROM foo'])
  assert.equal(api.replica.proposed[0]?.transaction, true)
  assert.match(
    answer.body,
    /^\{"results":\[\{"last_insert_id":2,"rows_affected":1,"time":0\.25\}\],"time":0\.\d+(e-\d+)?,"raft_index":8\}$/,
  )
})

test('request without a content type is taken as JSON', async (context) => {
  const api = await openFixture(context)
  assert.equal((await api.ask('/db/execute', { method: 'POST', body: '["DELETE FROM foo"]' })).status, 200)
})

test('text/plain is one statement without parameters', async (context) => {
  const api = await openFixture(context)
  const headers = { 'Content-Type': 'text/plain; charset=utf-8' }
  await api.ask('/db/execute', { method: 'POST', body: 'DELETE FROM "foo"', headers })
  assert.equal(api.replica.proposed[0]?.statements[0]?.sql, 'DELETE FROM "foo"')
  assert.equal((await api.ask('/db/query', { method: 'POST', body: '', headers })).body, '{"results":[]}')
})

test('statements of nothing but white space or comments are skipped and nothing is proposed', async (context) => {
  const api = await openFixture(context)
  assert.equal((await api.post('/db/execute', ['', ' -- nothing', ';'])).body, '{"results":[]}')
  assert.equal(api.replica.proposed.length, 0)
})

test('GET and POST query read on the leader without a round of heartbeats at level weak, which is the default', async (context) => {
  const api = await openFixture(context)
  api.reader.results = [{ kind: 'rows', columns: [{ name: 'id', declaredType: 'integer' }], rows: [[1]], seconds: 0 }]
  const expected = '{"results":[{"columns":["id"],"types":["integer"],"values":[[1]]}]}'
  assert.equal((await api.ask('/db/query?q=SELECT%20*+FROM%20foo')).body, expected)
  assert.equal((await api.post('/db/query?level=whatever', ['SELECT * FROM foo'])).body, expected)
  assert.equal(api.reader.asked[0]?.statements[0]?.sql, 'SELECT * FROM foo')
  assert.deepEqual(api.replica.timeoutsMs, [])
})

for (const level of ['linearizable', 'strong']) {
  test(`a read at level ${level} waits for the leader to be confirmed and reads at least that index`, async (context) => {
    const api = await openFixture(context)
    api.replica.barriers.push(ok(42))
    const answer = await api.post(`/db/query?level=${level}&raft_index&linearizable_timeout=2s`, ['SELECT 1'])
    assert.equal(api.reader.asked[0]?.options.appliedIndexMin, 42)
    assert.equal(answer.body, '{"results":[],"raft_index":7}')
    assert.ok((api.replica.timeoutsMs[0] ?? 0) <= 2000)
  })
}

test('a linearizable read that is not confirmed in time is a refusal, not old data', async (context) => {
  const api = await openFixture(context)
  api.replica.barriers.push(fail({ code: 'deadline', leader: undefined }))
  const answer = await api.post('/db/query?level=linearizable', ['SELECT 1'])
  assert.deepEqual([answer.status, answer.headers[code]], [503, 'deadline'])
  assert.equal(api.reader.asked.length, 0)
})

test('level none is answered by a follower, and by a node that knows no leader', async (context) => {
  for (const leader of ['n2', undefined]) {
    const api = await openFixture(context, { leader })
    assert.equal((await api.post('/db/query?level=none', ['SELECT 1'])).status, 200)
    assert.equal(api.reader.asked.length, 1)
  }
})

test('freshness: a follower that has not heard from its leader for longer answers "stale read"', async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  api.replica.contactAgeMs = 1500
  const stale = await api.post('/db/query?level=none&freshness=1s', ['SELECT 1'])
  assert.deepEqual([stale.status, stale.body, stale.headers[code]], [200, '{"results":[],"error":"stale read"}', 'stale_read'])
  assert.equal((await api.post('/db/query?level=none&freshness=2s', ['SELECT 1'])).body, '{"results":[]}')
})

test('freshness_strict: what is known to be committed must be applied in time', async (context) => {
  const api = await openFixture(context, { leader: 'n2' })
  assert.equal((await api.post('/db/query?level=none&freshness=2s&freshness_strict=false', ['SELECT 1'])).body, '{"results":[]}')
  assert.equal(api.reader.asked[0]?.options.appliedIndexMin, 7)
  api.replica.applied = fail({ code: 'deadline', leader: undefined })
  assert.equal((await api.post('/db/query?level=none&freshness=2s&freshness_strict=false', ['SELECT 1'])).headers[code], 'stale_read')
})

test('level auto: a member without a vote answers for itself, a voter asks the leader', async (context) => {
  const members = [member('n1', 'learner'), member('n2')]
  const learner = await openFixture(context, { replica: new ScriptedReplica('n1', 'n2', members) })
  await learner.post('/db/query?level=auto', ['SELECT 1'])
  assert.equal(learner.reader.asked.length, 1)
  const voter = await openFixture(context, { leader: 'n2' })
  await voter.post('/db/query?level=auto', ['SELECT 1'])
  assert.equal(voter.reader.asked.length, 0)
  assert.ok(voter.forwarder.sent.length > 0)
})

test('request takes the read path when everything only reads, and the log when not', async (context) => {
  const api = await openFixture(context)
  await api.post('/db/request', ["SELECT datetime('now')"])
  assert.equal(api.reader.asked.length, 1)
  assert.equal(api.replica.proposed.length, 0)
  api.reader.reads = false
  await api.post('/db/request', ['SELECT 1', 'DELETE FROM foo'])
  assert.equal(api.replica.proposed[0]?.kind, 'request')
})

test('what the gate refuses is never proposed and never read', async (context) => {
  const api = await openFixture(context)
  api.reader.reads = false
  for (const path of ['/db/execute', '/db/query', '/db/request']) {
    const answer = await api.post(path, ['  PRAGMA Journal_Mode = delete'])
    assert.deepEqual(
      [answer.status, answer.body, answer.headers[code]],
      [200, '{"results":[],"error":"disallowed pragma"}', 'statement_refused'],
    )
  }
  const attach = await api.post('/db/execute', ["ATTACH '/etc/passwd' AS x"])
  assert.equal(attach.headers[code], 'statement_refused')
  // As rqlite's clients read it: an error of an item. Beside an empty list of results it would look like a success to them.
  const said = JSON.parse(attach.body) as { readonly results: readonly { readonly error?: string }[]; readonly error?: string }
  assert.equal(said.error, undefined)
  assert.match(said.results[0]?.error ?? '', /ATTACH/)
  assert.equal(api.replica.proposed.length + api.reader.asked.length, 0)
})

test('wait without queue is harmless', async (context) => {
  const api = await openFixture(context)
  assert.equal((await api.post('/db/execute?wait', ['DELETE FROM foo'])).status, 200)
})

const writeProblems: readonly [ReplicaProblem['code'], number, string, RegExp][] = [
  ['overloaded', 503, 'overloaded', /try again/],
  ['outcome_unknown', 200, 'outcome_unknown', /^\{"results":\[\{"error":"the outcome is unknown: the change may have happened/],
  ['closing', 503, 'not_ready', /shutting down/],
  ['removed', 503, 'node_removed', /nothing was changed/],
  ['diverged', 503, 'state_diverged', /nothing was changed/],
]

for (const [problem, status, expected, text] of writeProblems) {
  test(`a write that meets ${problem} is refused as ${expected}`, async (context) => {
    const api = await openFixture(context)
    api.replica.proposals.push(fail({ code: problem, leader: undefined }))
    const answer = await api.post('/db/execute', ['DELETE FROM foo'])
    assert.deepEqual([answer.status, answer.headers[code]], [status, expected])
    assert.match(answer.body, text)
    assert.equal(answer.headers['content-type'], `${status === 200 ? 'application/json' : 'text/plain'}; charset=utf-8`)
  })
}

test('a write for which there is no room waits for it, as long as -raft-apply-timeout and its own timeout say', async (context) => {
  const api = await openFixture(context, { applyTimeoutMs: 30_000 })
  const full = fail({ code: 'overloaded', leader: undefined } as const)
  api.replica.proposals.push(full, full, full)
  assert.equal((await api.post('/db/execute', ['DELETE FROM foo'])).status, 200)
  assert.equal(api.replica.proposed.length, 1)
  api.replica.proposals.push(...Array.from({ length: 1000 }, () => full))
  const refused = await api.post('/db/execute?timeout=100ms', ['DELETE FROM foo'])
  assert.deepEqual([refused.status, refused.headers[code], refused.headers['retry-after']], [503, 'overloaded', '1'])
  assert.ok(api.replica.timeoutsMs.length < 50, 'it does not ask without a pause')
})

test('timeout is the deadline of the proposal', async (context) => {
  const api = await openFixture(context)
  await api.post('/db/execute?timeout=100500ms', ['DELETE FROM foo'])
  const [timeoutMs = 0] = api.replica.timeoutsMs
  assert.ok(timeoutMs > 40_000 && timeoutMs <= 100_500, String(timeoutMs))
})

test('a read that runs over db_timeout is answered "query timeout"; one that is never answered ends at its deadline', async (context) => {
  const api = await openFixture(context)
  api.reader.results = [{ kind: 'rows', columns: [{ name: 'a', declaredType: '' }], rows: [[1]], seconds: 5 }]
  const late = await api.post('/db/query?db_timeout=100ms', ['SELECT 1'])
  assert.ok(late.body.includes('"error":"query timeout"'), late.body)
  api.reader.query = () => new Promise(() => {})
  const never = await api.post('/db/query?timeout=1ms', ['SELECT 1'])
  assert.equal(never.headers[code], 'deadline')
})

test('a reply in which a statement was ended at its limit says so in its header, beside what the others have answered', async (context) => {
  const api = await openFixture(context)
  api.reader.results = [
    { kind: 'rows', columns: [{ name: 'a', declaredType: '' }], rows: [[1n]], seconds: 0 },
    { kind: 'error', message: 'query timeout', seconds: 0 },
  ]
  api.reader.ended = 'statement_timeout'
  const answer = await api.post('/db/query?db_timeout=1s', ['SELECT 1', 'SELECT 2'])
  assert.equal(answer.body, '{"results":[{"columns":["a"],"types":["integer"],"values":[[1]]},{"error":"query timeout"}]}')
  assert.equal(answer.headers[code], 'statement_timeout')
  assert.match(api.log(), /"code":"statement_timeout"/)
})

test('a node that belongs to no cluster yet refuses reads and writes', async (context) => {
  const api = await openFixture(context, { joined: false })
  assert.deepEqual((await api.post('/db/execute?timeout=0', ['DELETE FROM foo'])).body, 'leader not found\n')
  assert.equal((await api.post('/db/query?level=none', ['SELECT 1'])).headers[code], 'not_ready')
})

test('/db/sql of many statements lets others go between them, and keeps its deadline', async (context) => {
  const api = await openFixture(context)
  let turns = 0
  const timer = setInterval(() => (turns += 1), 1)
  const turnsAt: number[] = []
  api.reader.asRun = (sql) => {
    turnsAt.push(turns)
    const endMs = performance.now() + 2
    while (performance.now() < endMs);
    return { sql, problem: undefined }
  }
  const many = Array.from({ length: 100 }, (_, at) => `SELECT ${at}`)
  const answer = await api.post('/db/sql', many)
  assert.equal((JSON.parse(answer.body) as { readonly results: readonly unknown[] }).results.length, many.length)
  assert.ok((turnsAt.at(-1) ?? 0) > (turnsAt[0] ?? 0))
  const late = await api.post('/db/sql?timeout=50ms', many)
  clearInterval(timer)
  assert.equal(late.headers[code], 'deadline')
})
