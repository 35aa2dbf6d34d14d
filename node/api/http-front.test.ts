import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { openFixture } from './api-fixture.ts'
import type { Answer } from './api-fixture.ts'

const code = 'x-securesql-code'
const entries = [
  { username: 'bob', password: 'secret1', perms: ['all'] },
  { username: 'mary', password: 'secret2', perms: ['query'] },
  { username: 'writer', password: 'secret3', perms: ['execute'] },
  { username: '*', perms: ['ready'] },
] as const

/** Sends bytes as they are and gives back all that comes until the connection ends. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(text))
    let seen = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (seen += chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(seen))
  })
}

function summary(answer: Answer): [number, string | string[] | undefined, string] {
  return [answer.status, answer.headers[code], answer.body]
}

test("every response carries rqlite's headers, and keeps caches and guesses away", async (context) => {
  const open = await openFixture(context)
  const closed = await openFixture(context, { entries })
  for (const path of ['/readyz?noleader', '/nowhere', '/db/query?q=']) {
    const plain = await open.ask(path)
    assert.equal(plain.headers['x-rqlite-version'], 'v0.1.0')
    assert.equal(plain.headers['access-control-allow-methods'], 'OPTIONS, GET, POST')
    assert.equal(plain.headers['access-control-allow-headers'], 'Content-Type')
    assert.equal(plain.headers['x-content-type-options'], 'nosniff')
    assert.equal(plain.headers['cache-control'], 'no-store')
    for (const absent of ['www-authenticate', 'access-control-allow-credentials', 'access-control-allow-origin', 'x-powered-by', 'etag']) {
      assert.equal(plain.headers[absent], undefined, absent)
    }
    const guarded = await closed.ask(path)
    assert.equal(guarded.headers['www-authenticate'], 'Basic realm="rqlite"')
    assert.equal(guarded.headers['access-control-allow-credentials'], 'true')
    assert.equal(guarded.headers['access-control-allow-headers'], 'Content-Type, Authorization')
  }
})

test('OPTIONS is answered everywhere without credentials', async (context) => {
  const api = await openFixture(context, { entries, allowOrigin: 'https://app.example' })
  for (const path of ['/db/execute', '/nowhere', '/db/query?timeout=nonsense']) {
    const answer = await api.ask(path, { method: 'OPTIONS' })
    assert.deepEqual([answer.status, answer.body, answer.headers['access-control-allow-origin']], [200, '', 'https://app.example'])
  }
})

test('parameters are checked before paths, permissions before methods, methods before bodies', async (context) => {
  const api = await openFixture(context, { entries })
  assert.deepEqual(summary(await api.ask('/nowhere?timeout=5')), [400, 'invalid_parameter', 'timeout is not a valid duration\n'])
  assert.deepEqual(summary(await api.ask('/nowhere')), [404, 'not_found', ''])
  assert.deepEqual(summary(await api.ask('/db/execute')), [401, 'permission_denied', ''])
  assert.deepEqual(summary(await api.ask('/db/execute', { as: 'bob:secret1' })), [405, 'method_not_allowed', ''])
  assert.deepEqual(summary(await api.ask('/db/execute', { as: 'bob:secret1', method: 'POST', body: '{' })), [
    400,
    'invalid_json',
    'invalid JSON body\n',
  ])
})

test('each endpoint asks for its permission; the unified endpoint for two', async (context) => {
  const api = await openFixture(context, { entries })
  const table: readonly [method: string, path: string, mary: number, writer: number, nobody: number][] = [
    ['POST', '/db/execute', 401, 200, 401],
    ['POST', '/db/query', 200, 401, 401],
    ['POST', '/db/request', 401, 401, 401],
    ['GET', '/status', 401, 401, 401],
    ['GET', '/nodes', 401, 401, 401],
    ['GET', '/leader', 401, 401, 401],
    ['POST', '/leader', 401, 401, 401],
    ['GET', '/metrics', 401, 401, 401],
    ['GET', '/readyz', 200, 200, 200],
  ]
  for (const [method, path, mary, writer, nobody] of table) {
    const body = path.startsWith('/db/') ? '["SELECT 1"]' : ''
    const ask = async (as?: string): Promise<number> => (await api.ask(path, { method, body, ...(as === undefined ? {} : { as }) })).status
    assert.deepEqual(
      [await ask('mary:secret2'), await ask('writer:secret3'), await ask(), await ask('bob:secret1'), await ask('bob:wrong')],
      [mary, writer, nobody, 200, path === '/readyz' ? 200 : 401],
      `${method} ${path}`,
    )
  }
})

test("rqlite's later endpoints are refused by name, after the permission and the method", async (context) => {
  const api = await openFixture(context, { entries })
  const table: readonly [method: string, path: string, name: string][] = [
    ['GET', '/debug/pprof/heap', '/debug/pprof'],
    ['GET', '/console/', 'console'],
    ['GET', '/console/x.js', 'console'],
  ]
  for (const [method, path, name] of table) {
    assert.equal((await api.ask(path, { method })).status, 401, path)
    assert.equal((await api.ask(path, { method: 'PATCH', as: 'bob:secret1' })).status, name === '/debug/pprof' ? 501 : 405, path)
    const answer = await api.ask(path, { method, as: 'bob:secret1' })
    assert.deepEqual([answer.status, answer.headers[code]], [501, 'not_supported_yet'], path)
    assert.ok(answer.body.includes(name) && answer.body.endsWith('is not supported yet\n'), answer.body)
  }
  assert.deepEqual([(await api.ask('/')).status, (await api.ask('/')).headers.location], [302, '/console/'])
  assert.deepEqual([(await api.ask('/console')).status, (await api.ask('/console')).headers.location], [301, '/console/'])
})

test('only the paths of the table exist: no prefix, no other case, no encoding, no dots', async (context) => {
  const api = await openFixture(context)
  for (const path of [
    '/db/executeX',
    '/db/execute/x',
    '/DB/execute',
    '/db/Execute',
    '//db/execute',
    '/db//execute',
    '/db%2Fexecute',
    '/status/../db/execute',
    '/db/execut%65%00',
    '/%zz',
    '/console/..%2f..%2fetc/passwdX'.replace('/console', '/consoles'),
  ]) {
    assert.deepEqual(summary(await api.post(path, ['DELETE FROM foo'])), [404, 'not_found', ''], path)
  }
  assert.equal(api.replica.proposed.length, 0)
})

test('every refusal is counted and logged by its code, without the query string, credentials or SQL', async (context) => {
  const api = await openFixture(context, { entries })
  await api.ask('/nowhere?q=SELECT+hunter2', { as: 'bob:hunter2' })
  await api.ask('/db/query?q=SELECT+hunter2', { as: 'mary:hunter2' })
  await api.post('/db/execute', ["ATTACH 'hunter2' AS a"], { as: 'bob:secret1' })
  const text = await api.metrics.render()
  for (const [name, count] of [
    ['not_found', 1],
    ['permission_denied', 1],
    ['statement_refused', 1],
    ['internal', 0],
  ] as const) {
    assert.ok(text.includes(`securesql_refusals_total{code="${name}"} ${count}`), name)
  }
  for (const name of ['not_found', 'permission_denied', 'statement_refused']) assert.ok(api.log().includes(`"code":"${name}"`), name)
  for (const secret of ['hunter2', 'secret1', 'Basic']) assert.equal(api.log().includes(secret), false, secret)
})

test('a client cannot say by a header who it is', async (context) => {
  const api = await openFixture(context, { entries, leader: 'n2' })
  const forged = {
    'X-Forwarded-User': 'bob',
    'X-Remote-User': 'bob',
    'X-Forwarded-For': '127.0.0.1',
    'X-SecureSQL-Identity': '{"kind":"user","username":"bob"}',
    'X-SecureSQL-User': 'bob',
    'X-RQLITE-SERVED-BY': 'n2:4002',
    Forwarded: 'for=127.0.0.1;by=n2',
    'X-HTTP-Method-Override': 'GET',
  }
  assert.equal((await api.post('/db/execute', ['DELETE FROM foo'], { headers: forged })).status, 401)
  assert.equal(api.forwarder.sent.length, 0)
  await api.post('/db/execute', ['DELETE FROM foo'], { as: 'writer:secret3', headers: forged })
  const sent = api.forwarder.sent[0]?.request
  assert.deepEqual(sent?.identity, { kind: 'user', username: 'writer' })
  assert.equal(JSON.stringify({ ...sent, body: Buffer.from(sent?.body ?? []).toString() }).includes('secret3'), false)
})

test('a lock-out is by the address of the connection, not by one that a header claims', async (context) => {
  const api = await openFixture(context, { entries })
  for (let i = 0; i < 10; i += 1) await api.ask('/status', { as: `bob:guess${i}`, headers: { 'X-Forwarded-For': `192.0.2.${i}` } })
  const answer = await api.ask('/status', { as: 'bob:secret1', headers: { 'X-Forwarded-For': '192.0.2.99' } })
  assert.deepEqual(summary(answer), [401, 'credentials_locked_out', ''])
})

test('a request of a script from another site is refused, except from the allowed origin', async (context) => {
  const plain = await openFixture(context)
  const headers = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example', 'Content-Type': 'text/plain' }
  assert.deepEqual(summary(await plain.ask('/db/execute', { method: 'POST', body: 'DELETE FROM foo', headers })).slice(0, 2), [
    403,
    'cross_site_request',
  ])
  assert.equal(plain.replica.proposed.length, 0)
  const allowing = await openFixture(context, { allowOrigin: 'https://app.example' })
  assert.equal((await allowing.ask('/db/query?q=SELECT+1', { headers })).status, 403)
  assert.equal((await allowing.ask('/db/query?q=SELECT+1', { headers: { ...headers, Origin: 'https://app.example' } })).status, 200)
  assert.equal((await allowing.ask('/db/query?q=SELECT+1', { headers: { 'Sec-Fetch-Site': 'same-origin' } })).status, 200)
})

const ambiguous: readonly [title: string, text: string][] = [
  ['two Host headers', 'GET /readyz?noleader HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'],
  ['an absolute target', 'GET http://other/readyz?noleader HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
  [
    'two Authorization headers',
    'GET /status HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Ym9iOmE=\r\nAuthorization: Basic Ym9iOmI=\r\nConnection: close\r\n\r\n',
  ],
  ['no Host header', 'GET /readyz?noleader HTTP/1.1\r\nConnection: close\r\n\r\n'],
  [
    'Content-Length and Transfer-Encoding',
    'POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['two Content-Lengths', 'POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef'],
  ['an unknown Transfer-Encoding', 'POST /db/execute HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
  ['a space before the colon', 'GET /readyz?noleader HTTP/1.1\r\nHost : a\r\n\r\n'],
  ['what is not HTTP at all', 'hello there\r\n\r\n'],
  ['a TLS handshake on the plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
]

for (const [title, text] of ambiguous) {
  test(`${title} is refused with 400`, async (context) => {
    const api = await openFixture(context)
    assert.match(await raw(api.port, text), /^HTTP\/1\.1 400 /)
    assert.equal(api.replica.proposed.length, 0)
    assert.equal((await api.ask('/readyz?noleader')).status, 200)
  })
}

test('a fault inside an endpoint answers 500 without details, is logged, and the node goes on', async (context) => {
  const api = await openFixture(context)
  api.reader.query = () => Promise.reject(new Error('boom with hunter2'))
  assert.deepEqual(summary(await api.post('/db/query', ['SELECT 1'])), [500, 'internal', 'internal error\n'])
  assert.ok(api.log().includes('request failed'))
  assert.equal((await api.ask('/readyz?noleader')).status, 200)
})
