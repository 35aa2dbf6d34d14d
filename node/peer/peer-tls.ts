// TLS between nodes: 1.3 only, no tickets, and who is trusted.
//
// A resumed session skips the client's certificate, and a ticket outlives it, so there are none. Who is trusted: `-node-ca-cert`; without it the node's own certificate
// when that is self-signed (the security documents' recipe, where every node has the same one); else the system's roots, for servers that we dial alone: a client is never
// let in because some public CA knows it.
import { constants, type X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { checkServerIdentity, type ConnectionOptions, type PeerCertificate, type TLSSocket, type TlsOptions } from 'node:tls'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { TlsMaterial } from '../../runtime/tls-files.ts'

export interface PeerTlsRules {
  /** `-node-verify-client`: whoever calls must show a certificate of a trusted CA. */
  readonly verifyClient: boolean
  /** `-node-no-verify`: certificates of those whom we call are not looked at. */
  readonly noVerify: boolean
  /** `-node-verify-server-name`: the name that must stand in the certificate of whom we call, instead of the host that was dialled. */
  readonly verifyServerName: string | undefined
  /** `-node-verify-common-name`: the exact common name that callers must have. */
  readonly verifyCommonName: string | undefined
}

export type PeerTlsProblem = { readonly code: 'client_ca_missing' | 'common_name_without_verify_client'; readonly message: string }

/** Offered and demanded by both sides: a connection that was meant for another service goes nowhere. */
export const applicationProtocol = 'securesql-node'
/** A handshake takes two round trips; ten seconds forgive a slow network, and a caller that says nothing may not hold a place longer. */
export const handshakeMsMax = 10_000
const exporterLabel = 'EXPORTER-securesql-node-hello'
const chainLengthMax = 10

export function checkRules(material: TlsMaterial, rules: PeerTlsRules): Result<void, PeerTlsProblem> {
  if (rules.verifyCommonName !== undefined && !rules.verifyClient)
    return fail({ code: 'common_name_without_verify_client', message: '-node-verify-common-name needs -node-verify-client' })
  if (rules.verifyClient && trustedRoots(material) === undefined)
    return fail({ code: 'client_ca_missing', message: "-node-verify-client needs -node-ca-cert: the system's CAs never let a node in" })
  return ok(undefined)
}

export function serverOptions(material: TlsMaterial, rules: PeerTlsRules): TlsOptions {
  return {
    ...shared(material),
    // An empty list, not an absent one: absent would mean the system's roots.
    ca: trustedPem(material) ?? [],
    requestCert: rules.verifyClient,
    rejectUnauthorized: rules.verifyClient,
    handshakeTimeout: handshakeMsMax,
    sessionTimeout: 1,
  }
}

/** `host`: a name or an address without port. */
export function clientOptions(material: TlsMaterial, rules: PeerTlsRules, host: string): ConnectionOptions {
  const ca = trustedPem(material)
  return {
    ...shared(material),
    ...(ca === undefined ? {} : { ca }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    rejectUnauthorized: !rules.noVerify,
    checkServerIdentity: (_name, certificate) => checkName(material, rules.verifyServerName ?? host, certificate),
  }
}

/** One who holds the key of our own certificate is one of those who share it; a name in it could say nothing more. */
function checkName(material: TlsMaterial, name: string, certificate: PeerCertificate): Error | undefined {
  return material.leaf.raw.equals(certificate.raw) ? undefined : checkServerIdentity(name, certificate)
}

function shared(material: TlsMaterial) {
  return {
    cert: material.certificate,
    key: material.key,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
    ALPNProtocols: [applicationProtocol],
  } as const
}

function trustedPem(material: TlsMaterial): string | undefined {
  if (material.ca !== undefined) return material.ca
  return isSelfSigned(material.leaf) ? material.certificate : undefined
}

/** Undefined: the system's. */
export function trustedRoots(material: TlsMaterial): readonly X509Certificate[] | undefined {
  if (material.ca !== undefined) return material.caCertificates
  return isSelfSigned(material.leaf) ? [material.leaf] : undefined
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.issuer === certificate.subject && certificate.verify(certificate.publicKey)
}

/** Whether the certificate that the other side showed still leads to one of `roots`: asked of living connections when the CAs change. In doubt it does not. */
export function isStillTrusted(socket: TLSSocket, roots: readonly X509Certificate[] | undefined): boolean {
  let certificate = socket.getPeerX509Certificate()
  for (let depth = 0; certificate !== undefined && depth < chainLengthMax; depth += 1) {
    const shown = certificate
    if (roots?.some((root) => root.raw.equals(shown.raw) || (shown.checkIssued(root) && shown.verify(root.publicKey)))) return true
    certificate = shown.issuerCertificate
  }
  return false
}

/** The common name must be the only one: of several a lenient reader could take any. */
export function hasCommonName(socket: TLSSocket, expected: string): boolean {
  const subject: Partial<Record<string, string | string[]>> | undefined = socket.getPeerCertificate().subject
  return subject?.['CN'] === expected
}

export function usesOurCertificate(socket: TLSSocket, material: TlsMaterial): boolean {
  return socket.getPeerX509Certificate()?.raw.equals(material.leaf.raw) ?? false
}

/** Bytes that only the two ends of this TLS connection know. */
export function channelOf(socket: TLSSocket): Uint8Array {
  return socket.exportKeyingMaterial(32, exporterLabel, Buffer.alloc(0))
}
