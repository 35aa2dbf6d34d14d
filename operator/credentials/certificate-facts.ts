// What a certificate says, as plain values for those who decide. No clock: whether something has expired is for the caller to say.
import { X509Certificate, createPrivateKey } from 'node:crypto'

export interface CertificateFacts {
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
}

/** Undefined when `pem` is not a certificate. */
export function certificateFacts(pem: string): CertificateFacts | undefined {
  const certificate = parse(pem)
  if (certificate === undefined) return undefined
  const names = (certificate.subjectAltName ?? '').split(', ')
  return {
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    dnsNames: names.filter((name) => name.startsWith('DNS:')).map((name) => name.slice('DNS:'.length)),
    ipAddresses: names.filter((name) => name.startsWith('IP Address:')).map((name) => name.slice('IP Address:'.length)),
  }
}

/** Whether `caPem` signed `leafPem`, by issuer name, key identifier and signature. */
export function isSignedBy(leafPem: string, caPem: string): boolean {
  const [leaf, ca] = [parse(leafPem), parse(caPem)]
  return leaf !== undefined && ca !== undefined && leaf.checkIssued(ca) && leaf.verify(ca.publicKey)
}

/** Whether the private key belongs to the certificate: a half-written pair must not reach a pod. */
export function isKeyOf(keyPem: string, certificatePem: string): boolean {
  const certificate = parse(certificatePem)
  if (certificate === undefined) return false
  try {
    return certificate.checkPrivateKey(createPrivateKey(keyPem))
  } catch {
    return false // not a private key at all
  }
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined // not a certificate: node:crypto has no way to ask without an exception
  }
}
