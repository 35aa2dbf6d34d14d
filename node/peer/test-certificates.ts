// Certificates for tests, made on the spot: ECDSA P-256, written in DER by hand (RFC 5280 §4.1), because a test needs wrong ones too
// (no names, wrong usage, expired) and should not depend on a program of the machine.
import { createPrivateKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'

export interface TestKeyPair {
  readonly certificate: string
  readonly key: string
}

export interface TestCa extends TestKeyPair {
  readonly name: string
}

export interface TestLeaf {
  readonly commonName?: string
  /** DNS names and IP addresses; localhost and 127.0.0.1 when absent. */
  readonly names?: readonly string[]
  /** Both when absent, as members need. */
  readonly usages?: readonly ('server' | 'client')[]
  /** Valid from an hour ago for this long. */
  readonly lifetimeMs?: number
}

const dayMs = 24 * 60 * 60 * 1000
const hourMs = 60 * 60 * 1000

export function makeTestCa(name = 'test CA'): TestCa {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const extensions = [basicConstraints({ isCa: true }), keyUsage({ isCa: true })]
  return {
    ...issue({ subject: name, issuer: name, publicKey: keys.publicKey, signer: keys.privateKey, key: keys.privateKey, extensions }),
    name,
  }
}

/** A leaf of `ca`. */
export function makeTestLeaf(ca: TestCa, leaf: TestLeaf = {}): TestKeyPair {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return issue({
    subject: leaf.commonName ?? 'node',
    issuer: ca.name,
    publicKey: keys.publicKey,
    signer: createPrivateKey(ca.key),
    key: keys.privateKey,
    extensions: leafExtensions(leaf),
    ...(leaf.lifetimeMs === undefined ? {} : { lifetimeMs: leaf.lifetimeMs }),
  })
}

/** What `openssl req -x509` makes: self-signed, its own CA, one common name and no alternative names. */
export function makeTestSelfSigned(commonName = 'localhost'): TestKeyPair {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return issue({
    subject: commonName,
    issuer: commonName,
    publicKey: keys.publicKey,
    signer: keys.privateKey,
    key: keys.privateKey,
    extensions: [basicConstraints({ isCa: true })],
  })
}

interface Issue {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly key: KeyObject
  readonly extensions: readonly Buffer[]
  readonly lifetimeMs?: number
}

function issue(order: Issue): TestKeyPair {
  const fromMs = Date.now() - hourMs
  const algorithm = der(0x30, oid('1.2.840.10045.4.3.2'))
  const toBeSigned = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    algorithm,
    nameOf(order.issuer),
    der(0x30, time(fromMs), time(fromMs + (order.lifetimeMs ?? dayMs))),
    nameOf(order.subject),
    order.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(0x30, ...order.extensions)),
  )
  const certificate = der(0x30, toBeSigned, algorithm, bits(sign('sha256', toBeSigned, order.signer)))
  const body = certificate.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`,
    key: order.key.export({ type: 'pkcs8', format: 'pem' }),
  }
}

function leafExtensions(leaf: TestLeaf): readonly Buffer[] {
  const usages = (leaf.usages ?? ['server', 'client']).map((usage) => oid(usage === 'server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2'))
  const names = (leaf.names ?? ['localhost', '127.0.0.1']).map((name) =>
    isIP(name) === 4 ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name)),
  )
  return [
    basicConstraints({ isCa: false }),
    keyUsage({ isCa: false }),
    extension('2.5.29.37', der(0x30, ...usages)),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', der(0x30, ...names))]),
  ]
}

function basicConstraints(options: { readonly isCa: boolean }): Buffer {
  return extension('2.5.29.19', options.isCa ? der(0x30, der(0x01, Buffer.from([0xff]))) : der(0x30))
}

function keyUsage(options: { readonly isCa: boolean }): Buffer {
  // Bit 0 digitalSignature; bits 5 and 6 keyCertSign and cRLSign.
  return extension('2.5.29.15', der(0x03, options.isCa ? Buffer.from([1, 0b0000_0110]) : Buffer.from([7, 0b1000_0000])))
}

function extension(id: string, value: Buffer): Buffer {
  return der(0x30, oid(id), der(0x01, Buffer.from([0xff])), der(0x04, value))
}

function nameOf(commonName: string): Buffer {
  return der(0x30, der(0x31, der(0x30, oid('2.5.4.3'), der(0x0c, Buffer.from(commonName)))))
}

function time(ms: number): Buffer {
  return der(0x17, Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`))
}

function bits(content: Buffer): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), content]))
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const groups = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return der(0x06, Buffer.from(bytes))
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  if (content.length < 128) return Buffer.concat([Buffer.from([tag, content.length]), content])
  const length = [content.length & 0xff]
  for (let left = content.length >>> 8; left > 0; left >>>= 8) length.unshift(left & 0xff)
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length, ...length]), content])
}
