// Makes CA and leaf certificates: ECDSA P-256, as CloudNativePG and mariadb-operator do (small, fast to sign, understood everywhere).
import './reflect-metadata.ts'
import { randomBytes, webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { CaRequest, KeyPair, LeafRequest } from './credentials.ts'

const dayMs = 24 * 60 * 60 * 1000
/**
 * Ten years. Changing a CA without interruption (trust both, switch leaves, drop the old one) is not built yet, and a CA that ends before that is an
 * outage of every client at once. Its key never leaves its own Secret, which no pod mounts.
 */
export const caLifetimeMs = 3650 * dayMs
/** Ninety days, renewed after two thirds: a stolen leaf is of little use, and a month is left to notice that renewal fails. */
export const leafLifetimeMs = 90 * dayMs
/** Clocks of nodes may be behind ours. */
export const backdatedMs = 5 * 60 * 1000

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const

export async function issueCa(request: CaRequest): Promise<KeyPair> {
  const keys = await newKeys()
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerialNumber(),
    name: [{ O: ['SecureSQL'] }, { CN: [`${request.clusterName} ${request.authority} CA`] }],
    notBefore: new Date(request.nowMs - backdatedMs),
    notAfter: new Date(request.nowMs + caLifetimeMs),
    signingAlgorithm,
    keys,
    extensions: [
      // Path length 0: it signs leaves, never another CA.
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return pair(certificate, keys)
}

export async function issueLeaf(request: LeafRequest): Promise<KeyPair> {
  const keys = await newKeys()
  const ca = new X509Certificate(request.ca.certificatePem)
  const caKey = await webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(request.ca.keyPem), keyAlgorithm, false, ['sign'])
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    subject: [{ O: ['SecureSQL'] }, { CN: [request.commonName] }],
    issuer: ca.subjectName,
    notBefore: new Date(request.nowMs - backdatedMs),
    // Never longer than its CA: a leaf that outlives its issuer fails anyway, later and less clearly.
    notAfter: new Date(Math.min(request.nowMs + leafLifetimeMs, ca.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey: caKey,
    signingAlgorithm,
    extensions: await leafExtensions(request, ca, keys.publicKey),
  })
  return pair(certificate, keys)
}

async function leafExtensions(request: LeafRequest, ca: X509Certificate, publicKey: webcrypto.CryptoKey) {
  // Members call each other, so their leaf is server and client; the API's leaf must never pass as a client.
  const usages = request.authority === 'node' ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth] : [ExtendedKeyUsage.serverAuth]
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension(usages),
    new SubjectAlternativeNameExtension([
      ...request.dnsNames.map((value) => ({ type: 'dns' as const, value })),
      ...request.ipAddresses.map((value) => ({ type: 'ip' as const, value })),
    ]),
    await SubjectKeyIdentifierExtension.create(publicKey),
    await AuthorityKeyIdentifierExtension.create(ca.publicKey),
  ]
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify'])
}

/** 16 random bytes, positive and not zero (RFC 5280 §4.1.2.2). */
function newSerialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

async function pair(certificate: X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<KeyPair> {
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { certificatePem: `${certificate.toString('pem')}\n`, keyPem: `${PemConverter.encode(key, 'PRIVATE KEY')}\n` }
}
