import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { createServer as createHttpsServer } from 'node:https'
import { createServer } from 'node:tls'
import type { Server, TlsOptions } from 'node:tls'
import { loopbackCertificate } from '../kube/loopback-certificate.ts'
import { ask, connectAndWait } from './demo-client.ts'
import type { Member } from './demo-client.ts'
import type { Endpoint } from './local-addresses.ts'

const { certPem, keyPem } = loopbackCertificate()

async function listening(t: TestContext, server: Server): Promise<Endpoint> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

function tlsServer(options: TlsOptions): Server {
  const server = createServer({ cert: certPem, key: keyPem, ...options })
  server.on('secureConnection', (socket) => socket.on('error', () => {}))
  return server
}

const demanding: TlsOptions = { requestCert: true, rejectUnauthorized: true, ca: certPem }

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a server that demands a certificate is seen to refuse a connection without one (${version})`, async (t) => {
    const endpoint = await listening(t, tlsServer({ ...demanding, minVersion: version, maxVersion: version }))
    assert.equal((await connectAndWait(endpoint, {}, 30_000)).kind, 'refused')
  })
}

test('a certificate that the server trusts keeps the connection open, one that it does not is refused', async (t) => {
  const endpoint = await listening(t, tlsServer(demanding))
  assert.deepEqual(await connectAndWait(endpoint, { cert: certPem, key: keyPem }, 200), { kind: 'open' })
  const stranger = loopbackCertificate()
  assert.equal((await connectAndWait(endpoint, { cert: stranger.certPem, key: stranger.keyPem }, 30_000)).kind, 'refused')
})

test('a server that demands none is seen to be open: the check of the Raft port can fail', async (t) => {
  const endpoint = await listening(t, tlsServer({}))
  assert.deepEqual(await connectAndWait(endpoint, {}, 200), { kind: 'open' })
})

test('no password is sent to a member whose certificate carries another name or another CA', async (t) => {
  let asked = 0
  const server = createHttpsServer({ cert: certPem, key: keyPem }, (_request, response) => {
    asked += 1
    response.end('{}')
  })
  const endpoint = await listening(t, server)
  const question = { method: 'GET', path: '/', user: { name: 'app', password: 'secret' } } as const
  const member = (dnsName: string): Member => ({ name: 'orders-0', dnsName, ...endpoint })
  await assert.rejects(
    ask(member('orders-0.orders-nodes.shop.svc'), { ...question, caPem: certPem }),
    /ERR_TLS_CERT_ALTNAME_INVALID|does not match/,
  )
  await assert.rejects(ask(member('orders-0.orders-nodes.shop.svc'), { ...question, caPem: loopbackCertificate().certPem }))
  assert.equal(asked, 0)
})
