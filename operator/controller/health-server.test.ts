import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { HealthServer } from './health-server.ts'
import { operatorMetrics } from './operator-metrics.ts'

let ready = false
const metrics = operatorMetrics({ leading: () => true, waiting: () => 3 })
let server: HealthServer
before(async () => {
  server = await HealthServer.start({ host: '127.0.0.1', port: 0, metrics, ready: () => ready })
})
after(() => server.close())

const get = async (path: string, method = 'GET') => {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method })
  return { status: response.status, text: await response.text() }
}

test('it is alive at once and ready when the operator says so', async () => {
  assert.equal((await get('/healthz')).status, 200)
  assert.equal((await get('/readyz')).status, 503)
  ready = true
  assert.equal((await get('/readyz')).status, 200)
})

test('what happened is counted, and no name of a cluster is in the answer', async () => {
  const cluster = { namespace: 'shop', name: 'orders-of-acme' }
  metrics.controllerEvent({ kind: 'reconciled', cluster, outcome: 'again', durationMs: 12 })
  metrics.controllerEvent({ kind: 'watch_restarted', watched: 'Secret', problem: 'gone' })
  metrics.reconcileEvent({ kind: 'failed', cluster, doing: 'reading', problem: { code: 'unreachable', message: 'x' } })
  metrics.reconcileEvent({ kind: 'spec-invalid', cluster, issues: [] })
  metrics.reconcileEvent({
    kind: 'acted',
    cluster,
    stage: 'guards',
    ok: true,
    actions: [{ kind: 'apply', object: 'Secret orders-of-acme-access', because: 'absent' }],
  })
  const { text } = await get('/metrics')
  for (const line of [
    'securesql_operator_reconciles_total{outcome="again"} 1',
    'securesql_operator_reconciles_total{outcome="failed"} 0',
    'securesql_operator_watch_restarts_total{kind="Secret"} 1',
    'securesql_operator_api_problems_total{code="unreachable"} 1',
    'securesql_operator_invalid_specs_total 1',
    'securesql_operator_writes_total{kind="Secret"} 1',
    'securesql_operator_leading 1',
    'securesql_operator_queue_depth 3',
    'securesql_operator_reconcile_seconds_count 1',
  ])
    assert.ok(text.split('\n').includes(line), line)
  assert.equal(text.includes('acme'), false)
})

test('anything else is refused', async () => {
  assert.equal((await get('/')).status, 404)
  assert.equal((await get('/metrics', 'POST')).status, 405)
})
