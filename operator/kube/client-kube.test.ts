import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { ClientKube, clientKubeBounds } from './client-kube.ts'
import type { ClientKubeBounds } from './client-kube.ts'
import { budget, budgetKind, must, refTo, refused, secret, secretKind } from './kube-contract-objects.ts'
import type { KubeProblem, WatchEvent } from './kube.ts'
import { answer, configFor, refuse, scriptedApiServer } from './scripted-api-server.ts'
import type { Asked, Script } from './scripted-api-server.ts'

const place = { namespace: 'shop', name: 'a' }
const path = '/api/v1/namespaces/shop/secrets'

interface Setting {
  readonly kube: ClientKube
  readonly asked: readonly Asked[]
}

async function setting(t: TestContext, script: Script, bounds: ClientKubeBounds = clientKubeBounds): Promise<Setting> {
  const server = await scriptedApiServer(script)
  const kube = new ClientKube(server.config, { bounds, random: () => 0 })
  t.after(() => {
    kube.close()
    server.close()
  })
  return { kube, asked: server.asked }
}

function quickBounds(silenceMs: number): ClientKubeBounds {
  return { requestMs: 200, watch: { ...clientKubeBounds.watch, headMs: 5_000, silenceMs } }
}

function ignore(): void {}

function line(response: ServerResponse, event: unknown): void {
  response.write(`${JSON.stringify(event)}\n`)
}

test('an apply is a forced, strict patch of the whole object with the token of the configuration', async (t) => {
  const { kube, asked } = await setting(t, (_asked, response) =>
    answer(response, 200, { ...secret(place, { word: 'one' }), newField: { kept: true } }),
  )
  const stored = must(await kube.apply(secret(place, { word: 'one' }), 'securesql-operator'))
  assert.deepEqual(stored['newField'], { kept: true })
  const [first] = asked
  assert.equal(`${first?.method} ${first?.url.pathname}`, `PATCH ${path}/a`)
  assert.deepEqual(Object.fromEntries(first?.url.searchParams ?? []), {
    fieldManager: 'securesql-operator',
    force: 'true',
    fieldValidation: 'Strict',
  })
  assert.equal(first?.headers['content-type'], 'application/apply-patch+yaml')
  assert.equal(first?.headers.authorization, 'Bearer token-of-the-test')
  assert.deepEqual(JSON.parse(first?.body ?? ''), secret(place, { word: 'one' }))
})

test('applyStatus sends identity and status alone to the status subresource', async (t) => {
  const { kube, asked } = await setting(t, (_asked, response) => answer(response, 200, budget(place, 1)))
  must(
    await kube.applyStatus({ ...budget(place, 1), metadata: { ...place, labels: { a: 'b' } }, status: { currentHealthy: 1 } }, 'contract'),
  )
  assert.equal(asked[0]?.url.pathname, '/apis/policy/v1/namespaces/shop/poddisruptionbudgets/a/status')
  assert.deepEqual(JSON.parse(asked[0]?.body ?? ''), { ...budgetKind, metadata: place, status: { currentHealthy: 1 } })
})

test('a remove for one uid says so to the server', async (t) => {
  const { kube, asked } = await setting(t, (_asked, response) => answer(response, 200, { kind: 'Status', status: 'Success' }))
  must(await kube.remove(refTo(secret(place, {})), { uid: 'u-1' }))
  const body: unknown = JSON.parse(asked[0]?.body ?? '')
  assert.deepEqual(body, { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions: { uid: 'u-1' } })
})

const refusals: readonly (readonly [number, string, KubeProblem['code']])[] = [
  [400, 'BadRequest', 'invalid'],
  [401, 'Unauthorized', 'unauthorized'],
  [403, 'Forbidden', 'forbidden'],
  [404, 'NotFound', 'not_found'],
  [409, 'AlreadyExists', 'already_exists'],
  [409, 'Conflict', 'conflict'],
  [410, 'Expired', 'gone'],
  [422, 'Invalid', 'invalid'],
  [429, 'TooManyRequests', 'too_many_requests'],
  [500, 'InternalError', 'unreachable'],
  [503, 'ServiceUnavailable', 'unreachable'],
]
for (const [status, reason, code] of refusals) {
  test(`a refusal ${status} ${reason} is ${code}, with the server's own message`, async (t) => {
    const { kube } = await setting(t, (_asked, response) => refuse(response, status, reason, 'in its own words'))
    const result = await kube.get(refTo(secret(place, {})))
    assert.deepEqual(result, { ok: false, problem: { code, message: 'in its own words' } })
  })
}

test('an answer that is no Kubernetes object is unreachable, not a crash', async (t) => {
  const { kube } = await setting(t, (_asked, response) => response.writeHead(200).end('<html>please log in</html>'))
  refused(await kube.get(refTo(secret(place, {}))), 'unreachable')
})

test('a server that accepts and never answers is unreachable after the deadline', async (t) => {
  const { kube } = await setting(t, ignore, quickBounds(1_000))
  refused(await kube.get(refTo(secret(place, {}))), 'unreachable')
})

test('a server that begins an answer and never ends it is unreachable after the deadline', async (t) => {
  const { kube } = await setting(t, (_asked, response) => void response.writeHead(200).write('{"half":'), quickBounds(1_000))
  refused(await kube.get(refTo(secret(place, {}))), 'unreachable')
})

test('a server with a certificate of another CA gets no request', async (t) => {
  const { asked, kube } = await setting(t, (_asked, response) => answer(response, 200, secret(place, {})))
  must(await kube.get(refTo(secret(place, {}))))
  const other = await scriptedApiServer(ignore)
  t.after(other.close)
  const ours = await scriptedApiServer(ignore)
  t.after(ours.close)
  const caOfOurs = Buffer.from(ours.config.getCurrentCluster()?.caData ?? '', 'base64').toString('utf8')
  const stranger = new ClientKube(configFor(other.config.getCurrentCluster()?.server ?? '', caOfOurs))
  t.after(() => stranger.close())
  refused(await stranger.get(refTo(secret(place, {}))), 'unreachable')
  assert.equal(other.asked.length, 0)
  assert.equal(asked.length, 1)
})

test('plain http and insecure-skip-tls-verify are refused at once', () => {
  assert.throws(() => new ClientKube(configFor('http://127.0.0.1:8001', '')), /must be reached by https/)
  const insecure = configFor('https://127.0.0.1:6443', '')
  const cluster = { name: 'test', server: 'https://127.0.0.1:6443', skipTLSVerify: true }
  insecure.loadFromClusterAndUser(cluster, { name: 'test', token: 'x' })
  assert.throws(() => new ClientKube(insecure), /insecure-skip-tls-verify/)
})

test('a list follows the pages, fills in the kind and drops managedFields', async (t) => {
  const { kube, asked } = await setting(t, ({ url }, response) => {
    const second = url.searchParams.get('continue') === 'more'
    const item = { metadata: { name: second ? 'b' : 'a', managedFields: [{}] } }
    answer(response, 200, { kind: 'SecretList', metadata: { resourceVersion: '7', continue: second ? '' : 'more' }, items: [item] })
  })
  const list = must(await kube.list(secretKind, { namespace: 'shop', labelSelector: 'a=b' }))
  assert.deepEqual(list, {
    resourceVersion: '7',
    items: [
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'b' } },
    ],
  })
  assert.ok(asked.every(({ url }) => url.searchParams.get('labelSelector') === 'a=b' && url.searchParams.get('limit') === '500'))
})

test('a list whose next page is forgotten begins again, and is gone when that goes on', async (t) => {
  let forgotten = 1
  const { kube } = await setting(t, ({ url }, response) => {
    if (url.searchParams.get('continue') === null) return answer(response, 200, { metadata: { continue: 'more' }, items: [] })
    forgotten -= 1
    if (forgotten >= 0) return refuse(response, 410, 'Expired', 'too old')
    return answer(response, 200, { metadata: { resourceVersion: '9' }, items: [] })
  })
  assert.equal(must(await kube.list(secretKind, {})).resourceVersion, '9')
  forgotten = 1_000
  refused(await kube.list(secretKind, {}), 'gone')
})

test('a watch asks for bookmarks and a bounded time, and delivers events cut anywhere', async (t) => {
  const events = [
    { type: 'ADDED', object: secret(place, {}) },
    { type: 'BOOKMARK', object: { kind: 'Secret', apiVersion: 'v1', metadata: { resourceVersion: '12' } } },
    { type: 'SOMETHING_NEW', object: {} },
    { type: 'DELETED', object: secret({ namespace: 'shop', name: 'ümläut' }, {}) },
  ]
  const { kube, asked } = await setting(t, (_asked, response) => {
    const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''))
    response.writeHead(200)
    for (let at = 0; at < bytes.length; at += 7) response.write(bytes.subarray(at, at + 7))
    response.end()
  })
  const seen: WatchEvent[] = []
  const signal = new AbortController().signal
  must(await kube.watch(secretKind, { namespace: 'shop', resourceVersion: '5', onEvent: (event) => seen.push(event), signal }))
  assert.deepEqual(
    seen.map((event) => (event.type === 'BOOKMARK' ? event.resourceVersion : event.object.metadata.name)),
    ['a', '12', 'ümläut'],
  )
  assert.equal(asked[0]?.url.search, '?watch=true&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=300')
})

test('an ERROR event 410 in a watch is gone', async (t) => {
  const { kube } = await setting(t, (_asked, response) => {
    response.writeHead(200)
    line(response, { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' } })
  })
  refused(await kube.watch(secretKind, { resourceVersion: '5', onEvent: ignore, signal: new AbortController().signal }), 'gone')
})

test('a watch that is refused has the code of the refusal', async (t) => {
  const { kube } = await setting(t, (_asked, response) => refuse(response, 403, 'Forbidden', 'secrets is forbidden'))
  refused(await kube.watch(secretKind, { resourceVersion: '5', onEvent: ignore, signal: new AbortController().signal }), 'forbidden')
})

test('a watch on which nothing comes any more is unreachable after the bound', async (t) => {
  const { kube } = await setting(t, (_asked, response) => response.writeHead(200).flushHeaders(), quickBounds(100))
  refused(await kube.watch(secretKind, { resourceVersion: '5', onEvent: ignore, signal: new AbortController().signal }), 'unreachable')
})

test('a connection that breaks in the middle of a watch is unreachable', async (t) => {
  const { kube } = await setting(t, (_asked, response) => {
    response.writeHead(200)
    line(response, { type: 'ADDED', object: secret(place, {}) })
    setImmediate(() => response.destroy())
  })
  const seen: WatchEvent[] = []
  const options = { resourceVersion: '5', onEvent: (event: WatchEvent) => void seen.push(event), signal: new AbortController().signal }
  refused(await kube.watch(secretKind, options), 'unreachable')
})

test('a watch ends without a problem when it is aborted while nothing happens', async (t) => {
  const stopping = new AbortController()
  const { kube } = await setting(t, (_asked, response) => {
    response.writeHead(200).flushHeaders()
    setImmediate(() => stopping.abort())
  })
  must(await kube.watch(secretKind, { resourceVersion: '5', onEvent: ignore, signal: stopping.signal }))
})
