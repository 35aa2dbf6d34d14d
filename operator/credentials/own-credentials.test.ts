import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { connect, createServer } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { certificateFacts, isKeyOf, isSignedBy } from './certificate-facts.ts'
import { OwnCredentials } from './own-credentials.ts'
import { backdatedMs, caLifetimeMs, leafLifetimeMs } from './x509-issuer.ts'

const credentials = new OwnCredentials()
after(() => credentials.close())
const nowMs = Date.now()
const dnsNames = ['orders', 'orders.shop.svc', '*.orders-nodes.shop.svc']

const ca = (authority: 'client' | 'node') => credentials.issueCa({ authority, clusterName: 'orders', nowMs })
const usages = async (authority: 'client' | 'node') => new X509Certificate((await leaf(authority)).certificatePem).keyUsage
const leaf = async (authority: 'client' | 'node', signer = ca(authority)) =>
  credentials.issueLeaf({ authority, commonName: 'orders', dnsNames, ipAddresses: ['127.0.0.2'], ca: await signer, nowMs })

test('a CA is ECDSA P-256, may sign leaves only, and lives ten years', async () => {
  const certificate = new X509Certificate((await ca('client')).certificatePem)
  assert.equal(certificate.ca, true)
  assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  assert.equal(certificate.validToDate.getTime() - certificate.validFromDate.getTime(), caLifetimeMs + backdatedMs)
  assert.match(certificate.subject, /orders client CA/)
  assert.equal(certificate.verify(certificate.publicKey), true)
})

test('a leaf has the names that were asked for, ninety days, and its own key', async () => {
  const authority = ca('client')
  const issued = await leaf('client', authority)
  const facts = certificateFacts(issued.certificatePem)
  assert.deepEqual([facts?.dnsNames, facts?.ipAddresses], [dnsNames, ['127.0.0.2']])
  assert.equal(facts!.notAfterMs - facts!.notBeforeMs, leafLifetimeMs + backdatedMs)
  assert.equal(isSignedBy(issued.certificatePem, (await authority).certificatePem), true)
  assert.equal(isKeyOf(issued.keyPem, issued.certificatePem), true)
  assert.equal(new X509Certificate(issued.certificatePem).ca, false)
})

test('a leaf of another CA of the same name is not taken for ours', async () => {
  const [ours, theirs] = await Promise.all([ca('node'), ca('node')])
  const issued = await leaf('node', Promise.resolve(theirs))
  assert.equal(isSignedBy(issued.certificatePem, ours.certificatePem), false)
  assert.equal(isKeyOf((await leaf('node')).keyPem, issued.certificatePem), false)
})

test("only the nodes' leaf may be a client: the API's leaf may not (RFC 5280 §4.2.1.12)", async () => {
  assert.deepEqual(await usages('client'), ['1.3.6.1.5.5.7.3.1'])
  assert.deepEqual(await usages('node'), ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
})

test('a leaf never outlives its CA', async () => {
  const old = await credentials.issueCa({ authority: 'client', clusterName: 'orders', nowMs: nowMs - caLifetimeMs + 1000_000 })
  const issued = await leaf('client', Promise.resolve(old))
  assert.equal(certificateFacts(issued.certificatePem)?.notAfterMs, certificateFacts(old.certificatePem)?.notAfterMs)
})

test('serial numbers are positive, 16 bytes long and differ', async () => {
  const serials = await Promise.all([1, 2, 3].map(async () => new X509Certificate((await ca('client')).certificatePem).serialNumber))
  assert.equal(new Set(serials).size, 3)
  for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/)
})

test('what is not a certificate or a key has no facts', () => {
  assert.equal(certificateFacts('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'), undefined)
  assert.equal(isSignedBy('', ''), false)
  assert.equal(isKeyOf('', ''), false)
})

test('two peers with leaves of the node CA shake hands by mutual TLS; a leaf of the client CA is turned away', async (t) => {
  const nodeCa = await ca('node')
  const server = createServer({
    ...tls(await leaf('node', Promise.resolve(nodeCa))),
    ca: nodeCa.certificatePem,
    requestCert: true,
    rejectUnauthorized: true,
  })
  t.after(() => server.close())
  const refusals: string[] = []
  server.on('secureConnection', (socket) => socket.end('welcome'))
  server.on('tlsClientError', (error: NodeJS.ErrnoException) => refusals.push(error.code ?? error.message))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  // TLS 1.3: a client learns that it was turned away only when it reads.
  const hear = async (pair: { certificatePem: string; keyPem: string }) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      servername: 'orders-0.orders-nodes.shop.svc',
      ca: nodeCa.certificatePem,
      ...tls(pair),
    })
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.on('error', () => {})
    await once(socket, 'close').catch(() => {})
    return text
  }
  assert.equal(await hear(await leaf('node', Promise.resolve(nodeCa))), 'welcome')
  assert.deepEqual(refusals, [])
  assert.equal(await hear(await leaf('client')), '')
  assert.equal(refusals.length, 1)
})

test('generated passwords have 32 characters that need no escaping, and differ', () => {
  const passwords = Array.from({ length: 50 }, () => credentials.newPassword())
  assert.equal(new Set(passwords).size, 50)
  for (const password of passwords) assert.match(password, /^[A-Za-z0-9_-]{32}$/)
})

test('a password is hashed with bcrypt and found again; another one, and the hash itself, are not', async () => {
  const hash = await credentials.hashPassword('s3cret')
  assert.match(hash, /^\$2[aby]\$10\$/)
  assert.equal(await credentials.passwordMatches('s3cret', hash), true)
  assert.equal(await credentials.passwordMatches('s3creT', hash), false)
  assert.equal(await credentials.passwordMatches(hash, hash), false)
  assert.equal(await credentials.passwordMatches('s3cret', 's3cret'), false)
})

test('a password that bcrypt would cut is a bug of the caller', () => {
  assert.throws(() => credentials.hashPassword('x'.repeat(73)))
})

test('hashing leaves the event loop free', async () => {
  let turns = 0
  const counting = setInterval(() => turns++, 1)
  await Promise.all([1, 2, 3, 4].map(() => credentials.hashPassword('s3cret')))
  clearInterval(counting)
  // On the main thread four hashes would be four blocks of tens of milliseconds with at most one turn between them.
  assert.ok(turns > 8, `${turns} turns`)
})

function tls(pair: { certificatePem: string; keyPem: string }) {
  return { cert: pair.certificatePem, key: pair.keyPem }
}
