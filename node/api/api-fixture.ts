// An API over a real socket on a scripted node, and a small HTTP client that shows bytes, status and headers as they came.
import http from 'node:http'
import https from 'node:https'
import type { TestContext } from 'node:test'
import type { AccessEntry } from '../../contract/access-file.ts'
import type { WriteQueueConfiguration } from '../../contract/node-configuration.ts'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import { Access } from '../access/access.ts'
import { Lockout } from '../access/lockout.ts'
import { PasswordVerifier } from '../access/password-verifier.ts'
import type { ApiLimits } from './api-limits.ts'
import type { ApiTls } from './api-tls.ts'
import type { ForwardedRequest, ForwardedRequestHandler } from './forwarder.ts'
import { openApi } from './open-api.ts'
import {
  ScriptedBackups,
  ScriptedChecks,
  ScriptedCompactor,
  ScriptedForwarder,
  ScriptedIntake,
  ScriptedReader,
  ScriptedRehearsal,
  ScriptedReplica,
  ScriptedView,
} from './scripted-node.ts'

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
  /** The same as it came. */
  readonly bytes: Uint8Array
}

export interface Ask {
  readonly method?: string
  readonly body?: string | Uint8Array
  readonly headers?: http.OutgoingHttpHeaders
  /** user:password */
  readonly as?: string
}

export interface ApiFixture {
  readonly port: number
  readonly replica: ScriptedReplica
  readonly reader: ScriptedReader
  readonly rehearsal: ScriptedRehearsal
  readonly forwarder: ScriptedForwarder
  readonly compactor: ScriptedCompactor
  readonly checks: ScriptedChecks
  readonly intake: ScriptedIntake
  readonly backups: ScriptedBackups
  readonly view: ScriptedView
  readonly access: Access
  readonly metrics: Metrics
  readonly handler: ForwardedRequestHandler
  readonly log: () => string
  drain(): void
  close(): Promise<void>
  ask(path: string, ask?: Ask): Promise<Answer>
  /** POSTs JSON. */
  post(path: string, body: unknown, ask?: Ask): Promise<Answer>
}

export interface FixtureOptions {
  readonly id?: string
  readonly leader?: string | undefined
  readonly replica?: ScriptedReplica
  readonly joined?: boolean
  readonly entries?: readonly AccessEntry[]
  readonly limits?: Partial<ApiLimits>
  readonly tls?: ApiTls
  readonly client?: https.AgentOptions
  readonly allowOrigin?: string
  readonly applyTimeoutMs?: number
  readonly writeQueue?: Partial<WriteQueueConfiguration>
}

/** Of a client of another member. */
export const forwardedWrite: ForwardedRequest = {
  method: 'POST',
  path: '/db/execute',
  query: '',
  contentType: '',
  body: new TextEncoder().encode('["DELETE FROM foo"]'),
  identity: { kind: 'anonymous' },
  timeoutMs: 1_000,
}

export async function openFixture(context: TestContext, options: FixtureOptions = {}): Promise<ApiFixture> {
  const id = options.id ?? 'n1'
  const replica = options.replica ?? new ScriptedReplica(id, 'leader' in options ? options.leader : 'n1')
  const reader = new ScriptedReader()
  const rehearsal = new ScriptedRehearsal()
  const forwarder = new ScriptedForwarder()
  const compactor = new ScriptedCompactor()
  const checks = new ScriptedChecks()
  const intake = new ScriptedIntake()
  const backups = new ScriptedBackups()
  const view = new ScriptedView(id, options.joined === false ? undefined : replica)
  const metrics = new Metrics()
  const lines: string[] = []
  const logger = makeLogger({ level: 'debug', destination: { write: (line) => void lines.push(line) } })
  const verifier = new PasswordVerifier()
  const lockout = new Lockout({ monotonicMs: () => performance.now() })
  const access = new Access({ entries: options.entries, verifier, lockout, logger, metrics })
  const api = await openApi({
    listen: { host: '127.0.0.1', port: 0 },
    tls: options.tls,
    access,
    view,
    reader,
    rehearsal,
    forwarder,
    compactor,
    checks,
    applyTimeoutMs: options.applyTimeoutMs ?? 0,
    intake,
    backups,
    writeQueue: { capacity: 1024, batchSize: 128, timeoutMs: 50, transaction: false, ...options.writeQueue },
    logger,
    metrics,
    allowOrigin: options.allowOrigin,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })
  if (!api.ok) throw new Error(api.problem.message)
  const { port } = api.value.address
  const agentOptions = { keepAlive: true }
  const agent = options.tls === undefined ? new http.Agent(agentOptions) : new https.Agent({ ...agentOptions, ...options.client })
  context.after(async () => {
    agent.destroy()
    await api.value.close()
    await verifier.close()
  })
  const send = (path: string, ask: Ask = {}): Promise<Answer> => {
    const authorization = ask.as === undefined ? {} : { Authorization: `Basic ${Buffer.from(ask.as).toString('base64')}` }
    return request({ port, path, agent, secure: options.tls !== undefined }, { ...ask, headers: { ...authorization, ...ask.headers } })
  }
  return {
    port,
    replica,
    reader,
    rehearsal,
    forwarder,
    compactor,
    checks,
    intake,
    backups,
    drain: () => api.value.drain(),
    close: () => api.value.close(),
    view,
    access,
    metrics,
    handler: api.value.handler,
    log: () => lines.join(''),
    ask: send,
    post: (path, body, ask) => send(path, { method: 'POST', body: JSON.stringify(body), ...ask }),
  }
}

export function request(
  target: { readonly port: number; readonly path: string; readonly agent?: http.Agent; readonly secure?: boolean },
  ask: Ask,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const settings = {
      host: '127.0.0.1',
      port: target.port,
      path: target.path,
      method: ask.method ?? 'GET',
      // Node frames the body of a DELETE only when it is told its length.
      headers: ask.method === 'DELETE' ? { 'Content-Length': Buffer.byteLength(ask.body ?? ''), ...ask.headers } : ask.headers,
      ...(target.agent === undefined ? {} : { agent: target.agent }),
    }
    const message = target.secure === true ? https.request(settings) : http.request(settings)
    message.once('error', reject)
    message.once('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () => {
        const bytes = Buffer.concat(chunks)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes.toString(), bytes })
      })
    })
    message.end(ask.body)
  })
}
