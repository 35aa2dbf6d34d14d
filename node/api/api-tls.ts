// TLS of the API's port: at least 1.2, optional client certificates, everything changed without a restart. Connections that a removed CA has vouched for end.
import { strict as assert } from 'node:assert'
import type { Server } from 'node:https'
import type { ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { DetailedPeerCertificate } from 'node:tls'
import type { TlsMaterial, WatchedTlsFiles } from '../../runtime/tls-files.ts'

export interface ApiTls {
  /** The main program's watched files. */
  readonly files: Pick<WatchedTlsFiles, 'current' | 'onChange'>
  /** Clients must show a certificate of the files' CA (`-http-verify-client`), which must then be there. */
  readonly verifyClient: boolean
  /** `-http-verify-common-name`: it must also carry this name. */
  readonly clientCommonName?: string | undefined
}

// RFC 9325 §3.1.1: nothing older. TLS 1.3 is chosen wherever the client has it.
const minVersion = 'TLSv1.2'

export function tlsServerOptions(tls: ApiTls, material: TlsMaterial): ServerOptions {
  // Without an own CA Node would take every public one for a client CA: anybody could get a certificate of theirs.
  assert(!tls.verifyClient || material.ca !== undefined, 'client certificates need a CA')
  return {
    cert: material.certificate,
    key: material.key,
    minVersion,
    ...(tls.verifyClient ? { ca: material.ca } : {}),
    requestCert: tls.verifyClient,
    rejectUnauthorized: true,
    honorCipherOrder: true,
  }
}

/** Follows the files. Returns what ends that. */
export function followTls(server: Server, tls: ApiTls, sockets: ReadonlySet<Socket>): () => void {
  return tls.files.onChange((material) => {
    // A new context also ends the session tickets of the old one; all options must be given again, or they fall back to Node's defaults.
    const { cert, key, ca } = tlsServerOptions(tls, material)
    server.setSecureContext({ cert, key, minVersion, honorCipherOrder: true, ...(ca === undefined ? {} : { ca }) })
    if (!tls.verifyClient) return
    const trusted = new Set(material.caCertificates.map(({ fingerprint256 }) => fingerprint256))
    for (const socket of sockets) {
      if (socket instanceof TLSSocket && !isVouchedFor(socket, trusted)) socket.destroy()
    }
  })
}

/** Whether the client of this connection may speak: the CA has vouched for it already, this is about its name. */
export function mayEnter(socket: Socket, { clientCommonName }: ApiTls): boolean {
  if (clientCommonName === undefined) return true
  // Empty without a certificate; a list where a certificate has several names, which is none that anybody has asked for.
  const subject: Partial<Record<string, string | string[]>> | undefined =
    socket instanceof TLSSocket ? socket.getPeerCertificate().subject : undefined
  return subject?.['CN'] === clientCommonName
}

/** Until when client certificates are valid. A certificate is checked once, when its connection begins, and the connection may outlive it. */
export class CertificateExpiry {
  // Reading a certificate costs more than all the rest of a small request.
  readonly #untilMs = new WeakMap<Socket, number>()

  hasPassed(socket: Socket): boolean {
    if (!(socket instanceof TLSSocket)) return false
    const untilMs = this.#untilMs.get(socket) ?? Date.parse(socket.getPeerCertificate().valid_to)
    this.#untilMs.set(socket, untilMs)
    // Without a readable date nobody can say that it is still valid.
    return !(untilMs >= Date.now())
  }
}

// What cannot be seen to be vouched for is not: the client connects again and is checked anew.
function isVouchedFor(socket: TLSSocket, trusted: ReadonlySet<string>): boolean {
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  const seen = new Set<string>()
  while (certificate?.fingerprint256 !== undefined && !seen.has(certificate.fingerprint256)) {
    if (trusted.has(certificate.fingerprint256)) return true
    seen.add(certificate.fingerprint256)
    certificate = certificate.issuerCertificate
  }
  return false
}
