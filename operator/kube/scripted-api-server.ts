// An HTTPS server that answers as a test says, and remembers what it was asked: for what a real API server does too rarely to wait for.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { KubeConfig } from '@kubernetes/client-node'
import { loopbackCertificate } from './loopback-certificate.ts'

export interface Asked {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export type Script = (asked: Asked, response: ServerResponse) => void

export interface ScriptedApiServer {
  readonly config: KubeConfig
  readonly asked: readonly Asked[]
  readonly close: () => void
}

export async function scriptedApiServer(script: Script): Promise<ScriptedApiServer> {
  const { certPem, keyPem } = loopbackCertificate()
  const asked: Asked[] = []
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'https://127.0.0.1')
      const entry = { method: request.method ?? '', url, headers: request.headers, body: Buffer.concat(chunks).toString('utf8') }
      asked.push(entry)
      script(entry, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  return { config: configFor(`https://127.0.0.1:${port}`, certPem), asked, close }
}

/** A configuration as kubectl has it, with a bearer token. */
export function configFor(server: string, caPem: string): KubeConfig {
  const config = new KubeConfig()
  const cluster = { name: 'test', server, caData: Buffer.from(caPem).toString('base64'), skipTLSVerify: false }
  config.loadFromClusterAndUser(cluster, { name: 'test', token: 'token-of-the-test' })
  return config
}

export function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** A refusal as the API server words it. */
export function refuse(response: ServerResponse, code: number, reason: string, message: string): void {
  answer(response, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message })
}
