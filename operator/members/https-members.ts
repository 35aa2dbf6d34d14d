// Asks a member over HTTPS: the certificate must be of the cluster's client CA and carry the pod's DNS name, wherever the connection goes in fact. Every
// answer is bounded in time and size; nothing here throws.
import { Agent, request } from 'node:https'
import type { z } from 'zod'
import { nodeStatus } from '../../contract/admin-api.ts'
import type { NodeStatus } from '../../contract/admin-api.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { MemberAddress, MemberCredentials, MemberProblem, MemberReport, Members } from './members.ts'

/** Both questions together. A reconcile waits this long for a dead member, and its members are asked at the same time. */
export const deadlineMsDefault = 2000
// Far above what a status of nine members needs.
const bodyBytesMax = 1024 * 1024

export interface HttpsMembersOptions {
  readonly deadlineMs?: number
  /** Where a host name and port are reached in fact; undefined: by DNS. The local runtime has loopback addresses. The certificate is checked against the name all the same. */
  readonly locate?: (host: string, port: number) => Promise<{ readonly host: string; readonly port: number } | undefined>
}

interface Answer {
  readonly status: number
  readonly body: string
}

// Error codes of node:tls that mean "this is not who it should be", as opposed to "nobody is there".
const untrusted = /^(ERR_TLS|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|ERR_SSL)/

export class HttpsMembers implements Members {
  readonly #options: HttpsMembersOptions

  constructor(options: HttpsMembersOptions = {}) {
    this.#options = options
  }

  async report(address: MemberAddress, credentials: MemberCredentials): Promise<Result<MemberReport, MemberProblem>> {
    const signal = AbortSignal.timeout(this.#options.deadlineMs ?? deadlineMsDefault)
    const agent = new Agent({ keepAlive: false, ca: credentials.caPem, minVersion: 'TLSv1.2' })
    const ask = (path: string) => this.#get(new URL(path, address.url), { agent, credentials, signal })
    const [status, readiness] = await Promise.all([ask('/status'), ask('/readyz')])
    agent.destroy()
    if (!status.ok) return status
    if (!readiness.ok) return readiness
    if (status.value.status !== 200) return fail({ code: 'member_refused', message: `/status answered ${status.value.status}` })
    const parsed = parseStatus(status.value.body)
    return parsed.ok ? ok(reportOf(address.name, parsed.value, readiness.value.status === 200)) : parsed
  }

  async #get(
    url: URL,
    { agent, credentials, signal }: { readonly agent: Agent; readonly credentials: MemberCredentials; readonly signal: AbortSignal },
  ): Promise<Result<Answer, MemberProblem>> {
    const port = Number(url.port)
    const place = (await this.#options.locate?.(url.hostname, port)) ?? { host: url.hostname, port }
    return new Promise((resolve) => {
      const failed = (error: NodeJS.ErrnoException): void => resolve(fail(problemOf(error)))
      const asked = request(
        {
          ...place,
          path: url.pathname + url.search,
          agent,
          signal,
          servername: url.hostname,
          headers: { host: url.host },
          auth: `${credentials.username}:${credentials.password}`,
        },
        (response) => {
          const chunks: Buffer[] = []
          let bytes = 0
          response.on('error', failed)
          response.on('data', (chunk: Buffer) => {
            bytes += chunk.length
            if (bytes > bodyBytesMax) response.destroy(new Error('the answer is too long'))
            else chunks.push(chunk)
          })
          response.on('end', () => resolve(ok({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') })))
        },
      )
      asked.on('error', failed)
      asked.end()
    })
  }
}

function problemOf(error: NodeJS.ErrnoException): MemberProblem {
  const code = error.code ?? ''
  if (untrusted.test(code)) return { code: 'member_untrusted', message: code }
  return { code: 'member_unreachable', message: code === '' ? error.message : code }
}

function parseStatus(body: string): Result<NodeStatus, MemberProblem> {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return fail({ code: 'member_unreadable', message: '/status is not JSON' })
  }
  const parsed = nodeStatus.safeParse(value)
  return parsed.success ? ok(parsed.data) : fail({ code: 'member_unreadable', message: `/status lacks ${pathsOf(parsed.error)}` })
}

function pathsOf(error: z.ZodError): string {
  return error.issues.map((issue) => issue.path.join('.')).join(', ')
}

function reportOf(name: string, { build, store }: NodeStatus, ready: boolean): MemberReport {
  return {
    name,
    ready,
    role: roleOf(store.raft.state),
    term: store.raft.term,
    commitIndex: store.raft.commit_index,
    appliedIndex: store.raft.applied_index,
    // rqlite's /status has an empty id while no leader is known.
    leader: store.leader.node_id === '' ? undefined : store.leader.node_id,
    members: store.nodes.map(({ id, suffrage }) => ({ id, voter: suffrage === 'voter' })),
    version: build.version,
  }
}

function roleOf(state: NodeStatus['store']['raft']['state']): MemberReport['role'] {
  switch (state) {
    case 'Leader':
      return 'leader'
    case 'Candidate':
      return 'candidate'
    case 'Learner':
      return 'learner'
    case 'Follower':
    case 'Shutdown':
      return 'follower'
  }
}
