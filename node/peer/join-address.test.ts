import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import { test, type TestContext } from 'node:test'
import { askApiForRaftAddress, type ApiTrust, type JoinAddress } from './join-address.ts'
import { makeTestCa, makeTestLeaf } from './test-certificates.ts'

const ca = makeTestCa('API CA')
const leaf = makeTestLeaf(ca)

async function api(t: TestContext, answer: RequestListener): Promise<Extract<JoinAddress, { kind: 'api' }>> {
  const server = createServer({ cert: leaf.certificate, key: leaf.key }, answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.closeAllConnections(), server.close()))
  const bound = server.address()
  return {
    kind: 'api',
    origin: `https://127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`,
    credentials: undefined,
  }
}

async function ask(target: Extract<JoinAddress, { kind: 'api' }>, trust: Partial<ApiTrust> = {}): Promise<string> {
  const found = await askApiForRaftAddress(target, { credentials: undefined, trust: { ca: ca.certificate, noVerify: false, ...trust } })
  return found.ok ? found.value : found.problem.code
}

test('the leader is preferred, any member will do, and neither is needed to be complete', async (t) => {
  const nodes = { a: { addr: 'a:4002', leader: false }, b: { addr: 'b:4002', leader: true } }
  assert.equal(await ask(await api(t, (_request, response) => response.end(JSON.stringify(nodes)))), 'b:4002')
  assert.equal(await ask(await api(t, (_request, response) => response.end(JSON.stringify({ a: nodes.a })))), 'a:4002')
})

test('an API that is not trusted hears no credentials; with no-verify it does', async (t) => {
  const heard: (string | undefined)[] = []
  const target = await api(t, (request, response) => {
    heard.push(request.headers.authorization)
    response.end('{"a":{"addr":"a:4002"}}')
  })
  const withPassword = { ...target, credentials: { username: 'bob', password: 'secret1' } }
  assert.equal(await ask(withPassword, { ca: undefined }), 'api_unreachable')
  assert.equal(await ask(withPassword, { ca: makeTestCa('another').certificate }), 'api_unreachable')
  assert.deepEqual(heard, [])
  assert.equal(await ask(withPassword, { ca: undefined, noVerify: true }), 'a:4002')
  assert.equal(heard.length, 1)
})

test('a refusal, something that is no list of nodes, and an endless answer each have their code', async (t) => {
  assert.equal(await ask(await api(t, (_request, response) => response.writeHead(401).end())), 'api_refused')
  for (const body of ['', '[]', '{}', '{"a":{}}', 'nonsense'])
    assert.equal(await ask(await api(t, (_request, response) => response.end(body))), 'api_not_understood')
  const endless = await api(t, (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  })
  assert.match(await ask(endless), /api_/)
})
