import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import net from 'node:net'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import { apiLimits } from './api-limits.ts'
import { ApiServer } from './api-server.ts'
import { openFixture } from './api-fixture.ts'
import type { ApiFixture } from './api-fixture.ts'

const code = 'x-securesql-code'
// Far above what any of the waits here takes, far below for ever.
const patienceMs = 120_000

/** Sends `text`, keeps the connection open, and gives back all that comes until the other side ends it. */
async function untilCut(port: number, text: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  let seen = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => (seen += chunk))
  socket.on('error', () => {})
  socket.write(text)
  const closed = once(socket, 'close').then(() => 'cut')
  const outcome = await Promise.race([closed, setTimeout(patienceMs, 'still open', { ref: false })])
  socket.destroy()
  assert.equal(outcome, 'cut')
  return seen
}

function head(lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`
}

async function survives(api: ApiFixture): Promise<void> {
  assert.equal((await api.ask('/readyz?noleader')).status, 200)
}

test('a body over the limit is refused with 413, announced or not, and nothing is proposed', async (context) => {
  const api = await openFixture(context, { limits: { bodyBytesMax: 1000 } })
  const fits = JSON.stringify(['DELETE FROM foo'.padEnd(996)])
  assert.equal(fits.length, 1000)
  assert.equal((await api.ask('/db/execute', { method: 'POST', body: fits })).status, 200)
  const announced = await api.ask('/db/execute', { method: 'POST', body: ` ${fits}` })
  assert.deepEqual([announced.status, announced.headers[code]], [413, 'body_too_large'])
  const chunked = await api.ask('/db/execute', { method: 'POST', body: ` ${fits}`, headers: { 'Transfer-Encoding': 'chunked' } })
  assert.deepEqual([chunked.status, chunked.headers[code]], [413, 'body_too_large'])
  assert.equal(api.replica.proposed.length, 1)
})

test('a huge body is refused before it is read, the client sees the refusal, and then is cut', async (context) => {
  const api = await openFixture(context)
  const seen = await untilCut(api.port, `${head(['POST /db/execute HTTP/1.1', 'Host: a', 'Content-Length: 99999999999'])}["`)
  assert.match(seen, /^HTTP\/1\.1 413 /)
  assert.match(seen, /X-SecureSQL-Code: body_too_large/)
  assert.match(seen, /Connection: close/)
})

test('who may not write is refused without the body being read', async (context) => {
  const api = await openFixture(context, { entries: [] })
  const seen = await untilCut(api.port, head(['POST /db/execute HTTP/1.1', 'Host: a', 'Content-Length: 5000000']))
  assert.match(seen, /^HTTP\/1\.1 401 /)
})

test('a client that waits for "100 Continue" gets it only when its body is wanted', async (context) => {
  const api = await openFixture(context, { entries: [{ username: 'bob', password: 'p', perms: ['execute'] }] })
  const expect = ['POST /db/execute HTTP/1.1', 'Host: a', 'Expect: 100-continue', 'Connection: close']
  const denied = await untilCut(api.port, head([...expect, 'Content-Length: 19']))
  assert.match(denied, /^HTTP\/1\.1 401 /)
  const allowed = head([...expect, `Authorization: Basic ${Buffer.from('bob:p').toString('base64')}`, 'Content-Length: 19'])
  const seen = await untilCut(api.port, `${allowed}["DELETE FROM foo"]`)
  assert.match(seen, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
})

for (const [what, lines] of [
  ['without a host', []],
  ['with an expectation that nobody knows', ['Host: a', 'Expect: foo']],
] as const) {
  test(`a request ${what} is refused with our code, not by Node alone`, async (context) => {
    const api = await openFixture(context)
    const seen = await untilCut(api.port, head(['GET /readyz?noleader HTTP/1.1', ...lines, 'Connection: close']))
    assert.match(seen, /^HTTP\/1\.1 400 /)
    assert.match(seen, /X-SecureSQL-Code: invalid_request/)
  })
}

test('all bodies together are limited: the request that does not fit is told to come back', async (context) => {
  const api = await openFixture(context, { limits: { bodiesBytesMax: 1500, bodyBytesMax: 1000 } })
  const waiting: (() => void)[] = []
  api.replica.beforeAnswer = () => new Promise((resolve) => waiting.push(resolve))
  const body = JSON.stringify(['DELETE FROM foo'.padEnd(900)])
  const first = api.ask('/db/execute', { method: 'POST', body })
  while (waiting.length === 0) await setTimeout(5)
  const second = await api.ask('/db/execute', { method: 'POST', body })
  assert.deepEqual([second.status, second.headers[code], second.headers['retry-after']], [503, 'overloaded', '1'])
  waiting[0]?.()
  assert.equal((await first).status, 200)
  api.replica.beforeAnswer = () => Promise.resolve()
  assert.equal((await api.ask('/db/execute', { method: 'POST', body })).status, 200)
})

test('requests beyond the limit are refused, while probes, status and metrics are still answered', async (context) => {
  const api = await openFixture(context, { limits: { requestsMax: 2 } })
  const waiting: (() => void)[] = []
  api.replica.beforeAnswer = () => new Promise((resolve) => waiting.push(resolve))
  const served = [api.post('/db/execute', ['DELETE FROM foo']), api.post('/db/execute', ['DELETE FROM foo'])]
  while (waiting.length < 2) await setTimeout(5)
  const refused = await api.post('/db/query', ['SELECT 1'])
  assert.deepEqual([refused.status, refused.headers[code], refused.headers['retry-after']], [503, 'overloaded', '1'])
  for (const path of ['/readyz', '/status', '/metrics']) assert.equal((await api.ask(path)).status, 200, path)
  for (const release of waiting) release()
  assert.deepEqual(
    (await Promise.all(served)).map(({ status }) => status),
    [200, 200],
  )
  assert.equal((await api.post('/db/query', ['SELECT 1'])).status, 200)
})

test('a URL over the limit is 414, headers over the limit are 431', async (context) => {
  const api = await openFixture(context, { limits: { urlBytesMax: 2000, headerBytesMax: 8000 } })
  const long = await api.ask(`/db/query?q=${'x'.repeat(2000)}`)
  assert.deepEqual([long.status, long.headers[code]], [414, 'url_too_long'])
  const seen = await untilCut(api.port, head(['GET /readyz HTTP/1.1', 'Host: a', `X-Large: ${'x'.repeat(9000)}`]))
  assert.match(seen, /^HTTP\/1\.1 431 .*\r\nX-SecureSQL-Code: headers_too_large/)
  assert.ok((await api.metrics.render()).includes('securesql_refusals_total{code="headers_too_large"} 1'))
  await survives(api)
})

test('a client that sends its headers, its body or nothing at all too slowly is cut', async (context) => {
  const api = await openFixture(context, { limits: { headersTimeoutMs: 300, requestTimeoutMs: 600 } })
  const [silent, slowHead, slowBody] = await Promise.all([
    untilCut(api.port, ''),
    untilCut(api.port, 'GET /readyz HTTP/1.1\r\nHost: a\r\nX-Slow: '),
    untilCut(api.port, `${head(['POST /db/execute HTTP/1.1', 'Host: a', 'Content-Length: 100'])}["DEL`),
  ])
  for (const seen of [slowHead, slowBody]) assert.match(seen, /^HTTP\/1\.1 408 [^]*\r\nX-SecureSQL-Code: request_timeout/)
  assert.match(silent, /^$|^HTTP\/1\.1 408 /)
  assert.equal(api.replica.proposed.length, 0)
  await survives(api)
})

test('an idle kept connection is closed in time', async (context) => {
  const api = await openFixture(context, { limits: { keepAliveTimeoutMs: 200 } })
  assert.match(await untilCut(api.port, head(['GET /readyz?noleader HTTP/1.1', 'Host: a'])), /^HTTP\/1\.1 200 /)
})

test('a client that does not read its answer is cut', async (context) => {
  const api = await openFixture(context, { limits: { writeTimeoutMs: 500 } })
  const text = 'x'.repeat(1024 * 1024)
  const rows = Array.from({ length: 32 }, () => [text])
  api.reader.results = [{ kind: 'rows', columns: [{ name: 'a', declaredType: 'text' }], rows, seconds: 0 }]
  const socket = net.connect(api.port, '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  socket.write(head(['GET /db/query?q=SELECT+1 HTTP/1.1', 'Host: a']))
  const deadlineMs = performance.now() + patienceMs
  const open = async (): Promise<number> => Number(/^securesql_http_connections (\d+)$/m.exec(await api.metrics.render())?.[1])
  while ((await open()) === 0 && performance.now() < deadlineMs) await setTimeout(10)
  while ((await open()) > 0 && performance.now() < deadlineMs) await setTimeout(20)
  assert.equal(await open(), 0)
  socket.destroy()
})

test('connections beyond the limit are dropped and counted', async (context) => {
  const api = await openFixture(context, { limits: { connectionsMax: 2 } })
  const held = [net.connect(api.port, '127.0.0.1'), net.connect(api.port, '127.0.0.1')]
  await Promise.all(held.map((socket) => once(socket, 'connect')))
  const deadlineMs = performance.now() + patienceMs
  while (!(await api.metrics.render()).includes('securesql_http_connections 2') && performance.now() < deadlineMs) await setTimeout(10)
  assert.equal(await untilCut(api.port, head(['GET /readyz?noleader HTTP/1.1', 'Host: a'])), '')
  assert.ok((await api.metrics.render()).includes('securesql_http_connections_lost_total{reason="too_many"} 1'))
  for (const socket of held) socket.destroy()
})

test('a result over the limit is refused, and says so when the statements have been carried out', async (context) => {
  const api = await openFixture(context, { limits: { resultBytesMax: 1000 } })
  const large = { kind: 'rows', columns: [{ name: 'a', declaredType: 'text' }], rows: [['x'.repeat(2000)]], seconds: 0 } as const
  api.reader.results = [large]
  api.replica.results = [large]
  const read = await api.post('/db/query', ['SELECT 1'])
  assert.deepEqual([read.status, read.headers[code]], [200, 'result_too_large'])
  const write = await api.post('/db/execute', ['DELETE FROM foo RETURNING *'])
  assert.match(write.body, /were carried out, but/)
})

function serverOn(): ApiServer {
  const logger = makeLogger({ level: 'silent' })
  return new ApiServer({
    tls: undefined,
    limits: apiLimits,
    logger,
    metrics: new Metrics(),
    onRequest: (_message, response) => void response.end(),
    onRefusal: () => {},
  })
}

test('an address in use, or one that is not ours, is a problem with the address in it', async (context) => {
  const first = serverOn()
  context.after(() => first.close())
  const address = await first.listen({ host: '127.0.0.1', port: 0 })
  assert.ok(address.ok)
  const inUse = await serverOn().listen({ host: '127.0.0.1', port: address.value.port })
  assert.equal(!inUse.ok && inUse.problem.code, 'address_in_use')
  assert.ok(!inUse.ok && inUse.problem.message.includes(`127.0.0.1:${address.value.port}`))
  const notOurs = await serverOn().listen({ host: '192.0.2.1', port: 0 })
  assert.equal(!notOurs.ok && notOurs.problem.code, 'address_unavailable')
})

test('closing lets a request under way finish, and takes no new one', async (context) => {
  const underWay: ServerResponse[] = []
  const server = new ApiServer({
    tls: undefined,
    limits: apiLimits,
    logger: makeLogger({ level: 'silent' }),
    metrics: new Metrics(),
    onRequest: (_message, response) => void underWay.push(response),
    onRefusal: () => {},
  })
  const address = await server.listen({ host: '127.0.0.1', port: 0 })
  assert.ok(address.ok)
  const answer = untilCut(address.value.port, head(['GET / HTTP/1.1', 'Host: a']))
  while (underWay.length === 0) await setTimeout(5)
  const closed = server.close()
  context.after(() => closed)
  underWay[0]?.end('done')
  assert.match(await answer, /done/)
  await closed
  await assert.rejects(async () => once(net.connect(address.value.port, '127.0.0.1'), 'connect'))
})
