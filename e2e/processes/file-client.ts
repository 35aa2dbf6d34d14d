// Files to and from a node, streamed: what the client of the other suites holds in memory.
import { createReadStream, createWriteStream, statSync } from 'node:fs'
import { request, type RequestOptions } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { text } from 'node:stream/consumers'
import { basicAuthorization } from './api-client.ts'
import { admin, type ClusterOfProcesses } from './cluster-of-processes.ts'
import type { NodeProcess } from './node-process.ts'

/** Of the whole exchange. It only ends what hangs: the machine may be loaded. */
const exchangeMsMax = 600_000

function optionsOf(cluster: ClusterOfProcesses, node: NodeProcess, path: string): RequestOptions {
  const { host, apiPort: port } = node
  return {
    host,
    port,
    path,
    agent: false,
    ca: cluster.files.apiCa,
    signal: AbortSignal.timeout(exchangeMsMax),
    headers: { authorization: basicAuthorization(admin) },
  }
}

/** Status and body. Rejects when the connection breaks. */
export async function sendFile(
  cluster: ClusterOfProcesses,
  node: NodeProcess,
  file: { readonly path: string; readonly to: string },
): Promise<{ readonly status: number; readonly body: string }> {
  const { headers, ...options } = optionsOf(cluster, node, file.to)
  const length = { 'content-length': statSync(file.path).size }
  const message = request({ ...options, method: 'POST', headers: { ...(headers as Record<string, string>), ...length } })
  const replied = new Promise<IncomingMessage>((resolve, reject) => {
    message.once('response', resolve)
    message.once('error', reject)
  })
  // A refusal may come before all is sent; then the reply is what counts.
  pipeline(createReadStream(file.path), message).catch(() => {})
  const reply = await replied
  return { status: reply.statusCode ?? 0, body: await text(reply) }
}

/** Into a new file at `path`. Rejects when the reply is not whole. */
export async function fetchFile(
  cluster: ClusterOfProcesses,
  node: NodeProcess,
  file: { readonly path: string; readonly from: string },
): Promise<number> {
  const reply = await new Promise<IncomingMessage>((resolve, reject) => {
    request(optionsOf(cluster, node, file.from), resolve)
      .once('error', reject)
      .end()
  })
  await pipeline(reply, createWriteStream(file.path, { flags: 'wx' }))
  return reply.statusCode ?? 0
}
