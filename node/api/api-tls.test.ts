import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import https from 'node:https'
import net from 'node:net'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import tls from 'node:tls'
import { parseCertificates } from '../../runtime/tls-files.ts'
import type { TlsMaterial } from '../../runtime/tls-files.ts'
import { TestTlsSource } from '../peer/test-peers.ts'
import { makeTestCa, makeTestLeaf, makeTestSelfSigned } from '../peer/test-certificates.ts'
import type { TestKeyPair } from '../peer/test-certificates.ts'
import { openFixture, request } from './api-fixture.ts'
import { tlsServerOptions } from './api-tls.ts'

const patienceMs = 120_000

function material(pair: TestKeyPair, ca?: string): TlsMaterial {
  return {
    ...pair,
    ca,
    leaf: new X509Certificate(pair.certificate),
    caCertificates: ca === undefined ? [] : (parseCertificates(ca) ?? []),
    fingerprint: `${pair.certificate}${ca}`,
  }
}

const serverCa = makeTestCa('server CA')
const clientCa = makeTestCa('client CA')
const server = makeTestLeaf(serverCa, { usages: ['server'] })
const client = makeTestLeaf(clientCa, { usages: ['client'] })
const asClient = (pair: TestKeyPair): https.AgentOptions => ({ ca: serverCa.certificate, cert: pair.certificate, key: pair.key })

/** One request on a connection of its own; what the server thinks of the client is known only once it answers (TLS 1.3). */
async function answers(port: number, options: https.AgentOptions): Promise<boolean> {
  const agent = new https.Agent({ maxCachedSessions: 0, ...options })
  try {
    return (await request({ port, path: '/readyz?noleader', agent, secure: true }, {})).status === 200
  } catch {
    return false // refused by the server: whatever the error, there was no answer
  } finally {
    agent.destroy()
  }
}

test('HTTPS is served without client certificates, and a client sees the certificate that it trusts', async (context) => {
  const api = await openFixture(context, {
    tls: { files: new TestTlsSource(material(server)), verifyClient: false },
    client: { ca: serverCa.certificate },
  })
  assert.equal((await api.ask('/readyz?noleader')).status, 200)
  assert.equal(await answers(api.port, { ca: clientCa.certificate }), false)
})

test('with -http-verify-client only a client certificate of the named CA, made for clients, gets an answer', async (context) => {
  const files = new TestTlsSource(material(server, clientCa.certificate))
  const api = await openFixture(context, { tls: { files, verifyClient: true }, client: asClient(client) })
  assert.equal(await answers(api.port, asClient(client)), true)
  const refused: readonly [title: string, options: https.AgentOptions][] = [
    ['no certificate', { ca: serverCa.certificate }],
    ['a certificate of another CA', asClient(makeTestLeaf(makeTestCa('client CA')))],
    ["a certificate of the server's CA", asClient(makeTestLeaf(serverCa))],
    ['a certificate for servers only', asClient(makeTestLeaf(clientCa, { usages: ['server'] }))],
    ['a self-signed certificate', asClient(makeTestSelfSigned())],
    ['an expired certificate', asClient(makeTestLeaf(clientCa, { usages: ['client'], lifetimeMs: 60_000 }))],
  ]
  for (const [title, options] of refused) assert.equal(await answers(api.port, options), false, title)
  assert.ok(api.log().includes('tls handshake failed'))
  assert.match(await api.metrics.render(), /securesql_http_connections_lost_total\{reason="handshake"\} [1-9]/)
})

test('client certificates without a CA would mean every public CA: that is a bug of the caller', () => {
  assert.throws(() => tlsServerOptions({ files: new TestTlsSource(material(server)), verifyClient: true }, material(server)), /need a CA/)
})

test('nothing older than TLS 1.2, before and after certificates have been swapped', async (context) => {
  const files = new TestTlsSource(material(server))
  const api = await openFixture(context, { tls: { files, verifyClient: false }, client: { ca: serverCa.certificate } })
  for (const round of ['at start', 'after a swap']) {
    for (const [version, expected] of [
      ['TLSv1.1', false],
      ['TLSv1.2', true],
      ['TLSv1.3', true],
    ] as const) {
      const options = { ca: serverCa.certificate, minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' } as const
      assert.equal(await answers(api.port, options), expected, `${version} ${round}`)
    }
    files.swap(material(makeTestLeaf(serverCa)))
  }
})

test('a new certificate is used by new connections, and those that are open stay open', async (context) => {
  const files = new TestTlsSource(material(server))
  const api = await openFixture(context, { tls: { files, verifyClient: false }, client: { ca: [serverCa.certificate], maxSockets: 1 } })
  assert.equal((await api.ask('/readyz?noleader')).status, 200)
  const other = makeTestCa('next CA')
  files.swap(material(makeTestLeaf(other)))
  assert.equal((await api.ask('/readyz?noleader')).status, 200)
  assert.equal(await answers(api.port, { ca: other.certificate }), true)
  assert.equal(await answers(api.port, { ca: serverCa.certificate }), false)
})

function keptConnection(port: number, pair: TestKeyPair): Promise<{ readonly socket: tls.TLSSocket; ask: () => Promise<string> }> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ca: serverCa.certificate, cert: pair.certificate, key: pair.key }, () => {
      const ask = async (): Promise<string> => {
        socket.write('GET /readyz?noleader HTTP/1.1\r\nHost: a\r\n\r\n')
        const end = new AbortController()
        const { signal } = end
        const data = once(socket, 'data', { signal }).then(([chunk]: Buffer[]) => chunk?.toString('latin1').slice(0, 12) ?? '')
        const close = once(socket, 'close', { signal }).then(() => 'closed')
        const seen = await Promise.race([data, close])
        for (const waiting of [data, close]) waiting.catch(() => {})
        end.abort()
        return seen
      }
      resolve({ socket, ask })
    })
    socket.on('error', reject)
  })
}

/** What a second connection is answered that resumes the session of a first one. */
async function resumed(port: number, pair: TestKeyPair): Promise<string> {
  const once = (session?: Buffer): Promise<{ readonly seen: string; readonly session: Buffer | undefined }> =>
    new Promise((resolve) => {
      const socket = tls.connect({
        port,
        host: '127.0.0.1',
        ...asClient(pair),
        ...(session === undefined ? {} : { session }),
      } as tls.ConnectionOptions)
      let given: Buffer | undefined
      socket.on('error', () => {})
      socket.on('session', (ticket: Buffer) => (given = ticket))
      socket.on('data', (chunk: Buffer) => {
        resolve({ seen: `${chunk.toString('latin1').slice(0, 12)} ${socket.isSessionReused() ? 'resumed' : 'new'}`, session: given })
        socket.destroy()
      })
      socket.on('close', () => resolve({ seen: 'closed', session: given }))
      socket.write('GET /readyz?noleader HTTP/1.1\r\nHost: a\r\n\r\n')
    })
  const first = await once()
  return (await once(first.session)).seen
}

test('-http-verify-common-name lets in that name alone', async (context) => {
  const files = new TestTlsSource(material(server, clientCa.certificate))
  const named = (commonName: string) => makeTestLeaf(clientCa, { usages: ['client'], commonName })
  const right = named('orders-app')
  const api = await openFixture(context, { tls: { files, verifyClient: true, clientCommonName: 'orders-app' }, client: asClient(right) })
  assert.equal(await answers(api.port, asClient(right)), true)
  for (const commonName of ['orders-app2', 'Orders-app', 'orders'])
    assert.equal(await answers(api.port, asClient(named(commonName))), false)
  assert.equal(
    await answers(api.port, asClient(makeTestLeaf(makeTestCa('other CA'), { usages: ['client'], commonName: 'orders-app' }))),
    false,
  )
  // A session that is resumed brings no certificate along, but it remembers whose it was.
  for (const [pair, seen] of [
    [right, 'HTTP/1.1 200 resumed'],
    [named('orders'), 'closed'],
  ] as const) {
    assert.equal(await resumed(api.port, pair), seen)
  }
  assert.match(await api.metrics.render(), /securesql_http_connections_lost_total\{reason="common_name"\} 5\n/)
})

test('rotation of the client CA: both are trusted, then the old one is gone and with it every connection that it vouched for', async (context) => {
  const nextCa = makeTestCa('next client CA')
  const next = makeTestLeaf(nextCa, { usages: ['client'] })
  const files = new TestTlsSource(material(server, clientCa.certificate))
  const api = await openFixture(context, { tls: { files, verifyClient: true }, client: asClient(client) })
  const old = await keptConnection(api.port, client)
  assert.equal(await old.ask(), 'HTTP/1.1 200')
  files.swap(material(server, `${clientCa.certificate}${nextCa.certificate}`))
  assert.equal(await old.ask(), 'HTTP/1.1 200')
  const young = await keptConnection(api.port, next)
  assert.equal(await young.ask(), 'HTTP/1.1 200')
  files.swap(material(server, nextCa.certificate))
  const outcome = await Promise.race([once(old.socket, 'close').then(() => 'closed'), setTimeout(patienceMs, 'open', { ref: false })])
  assert.equal(outcome, 'closed')
  assert.equal(await young.ask(), 'HTTP/1.1 200')
  assert.equal(await answers(api.port, asClient(client)), false)
  assert.equal(await answers(api.port, asClient(next)), true)
  young.socket.destroy()
})

test('a session of a client whose CA was removed cannot be resumed', async (context) => {
  const files = new TestTlsSource(material(server, clientCa.certificate))
  const api = await openFixture(context, { tls: { files, verifyClient: true }, client: asClient(client) })
  const first = await keptConnection(api.port, client)
  const session = once(first.socket, 'session')
  assert.equal(await first.ask(), 'HTTP/1.1 200')
  const [ticket] = (await session) as [Buffer]
  first.socket.destroy()
  const resume = (): Promise<string> =>
    new Promise((resolve) => {
      const socket = tls.connect({ port: api.port, host: '127.0.0.1', ca: serverCa.certificate, session: ticket })
      socket.on('error', () => {})
      socket.on('data', (chunk: Buffer) => {
        resolve(`${chunk.toString('latin1').slice(0, 12)} ${socket.isSessionReused() ? 'resumed' : 'new'}`)
        socket.destroy()
      })
      socket.on('close', () => resolve('closed'))
      socket.write('GET /readyz?noleader HTTP/1.1\r\nHost: a\r\n\r\n')
    })
  // The attack is real: with the old CA in force the ticket alone, without certificate and key, is let in.
  assert.equal(await resume(), 'HTTP/1.1 200 resumed')
  files.swap(material(server, makeTestCa('another').certificate))
  assert.equal(await resume(), 'closed')
})

test('a kept connection ends when its client certificate expires', async (context) => {
  const files = new TestTlsSource(material(server, clientCa.certificate))
  const api = await openFixture(context, { tls: { files, verifyClient: true }, client: asClient(client) })
  // Test certificates are valid from an hour ago.
  const brief = makeTestLeaf(clientCa, { usages: ['client'], lifetimeMs: 3_600_000 + 4000 })
  const kept = await keptConnection(api.port, brief)
  assert.equal(await kept.ask(), 'HTTP/1.1 200')
  const deadlineMs = performance.now() + patienceMs
  let seen = 'HTTP/1.1 200'
  while (seen === 'HTTP/1.1 200' && performance.now() < deadlineMs) {
    await setTimeout(200)
    seen = await kept.ask()
  }
  assert.equal(seen, 'closed')
})

test('plain HTTP on the TLS port gets no answer, a handshake that never ends is cut, and the server goes on', async (context) => {
  const files = new TestTlsSource(material(server))
  const api = await openFixture(context, {
    tls: { files, verifyClient: false },
    client: { ca: serverCa.certificate },
    limits: { handshakeTimeoutMs: 300 },
  })
  const cut = async (text: string): Promise<string> => {
    const socket = net.connect(api.port, '127.0.0.1')
    let seen = ''
    socket.on('data', (chunk: Buffer) => (seen += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.write(text)
    const outcome = await Promise.race([once(socket, 'close').then(() => 'cut'), setTimeout(patienceMs, 'open', { ref: false })])
    socket.destroy()
    assert.equal(outcome, 'cut')
    return seen
  }
  assert.equal((await cut('GET /readyz?noleader HTTP/1.1\r\nHost: a\r\n\r\n')).includes('HTTP/1.1 200'), false)
  assert.equal(await cut('\x16\x03\x01'), '')
  assert.equal((await api.ask('/readyz?noleader')).status, 200)
})
