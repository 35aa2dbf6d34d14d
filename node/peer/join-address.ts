// What -join names: Raft addresses (`host:port`), or, as in the older of the rqlite security documents, API addresses (`https://host:4001`, with `user:password@` in the worst case).
// An API address is asked for the Raft address of the leader: GET /nodes, with the permission `status`.
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { z } from 'zod'
import { fail, ok, type Result } from '../../runtime/result.ts'
import { formatHostPort } from '../../contract/host-port.ts'
import type { JoinTarget } from '../../contract/node-configuration.ts'
import type { Credentials } from './join-words.ts'

export type JoinAddress =
  | { readonly kind: 'raft'; readonly address: string }
  /** `credentials` stood in the address; whoever parses flags warns of that. */
  | { readonly kind: 'api'; readonly origin: string; readonly credentials: Credentials | undefined }

/** How API addresses are trusted: `-http-ca-cert` (PEM; system roots when undefined), `-http-no-verify`. */
export interface ApiTrust {
  readonly ca: string | undefined
  readonly noVerify: boolean
}

export type JoinAddressProblem = {
  readonly code: 'api_unreachable' | 'api_refused' | 'api_not_understood'
  readonly message: string
}

const lookUpMsMax = 10_000
const replyBytesMax = 1024 * 1024
const nodesSchema = z.record(z.string(), z.looseObject({ addr: z.string().min(1), leader: z.boolean().optional() }))

export function toJoinAddress(target: JoinTarget): JoinAddress {
  return target.kind === 'raft'
    ? { kind: 'raft', address: formatHostPort(target.address) }
    : { kind: 'api', origin: target.url, credentials: target.credentials }
}

/** Where to dial: the address itself, or what the API answers. */
export async function raftAddressOf(
  address: JoinAddress,
  asked: { readonly credentials: Credentials | undefined; readonly trust: ApiTrust },
): Promise<Result<string, JoinAddressProblem>> {
  return address.kind === 'raft' ? ok(address.address) : askApiForRaftAddress(address, asked)
}

/** The leader's Raft address, or any member's when none leads. */
export async function askApiForRaftAddress(
  api: Extract<JoinAddress, { kind: 'api' }>,
  asked: { readonly credentials: Credentials | undefined; readonly trust: ApiTrust },
): Promise<Result<string, JoinAddressProblem>> {
  const reply = await get(`${api.origin}/nodes?nonvoters`, { credentials: api.credentials ?? asked.credentials, trust: asked.trust })
  if (!reply.ok) return reply
  if (reply.value.status !== 200)
    return problem('api_refused', `${api.origin} answered ${reply.value.status} to GET /nodes (permission "status")`)
  const nodes = nodesSchema.safeParse(parseJson(reply.value.body))
  const known = nodes.success ? Object.values(nodes.data) : []
  const found = known.find(({ leader }) => leader === true) ?? known[0]
  return found === undefined ? problem('api_not_understood', `${api.origin} named no nodes`) : ok(found.addr)
}

interface Reply {
  readonly status: number
  readonly body: string
}

function get(
  url: string,
  asked: { readonly credentials: Credentials | undefined; readonly trust: ApiTrust },
): Promise<Result<Reply, JoinAddressProblem>> {
  const { credentials, trust } = asked
  const auth = credentials === undefined ? {} : { auth: `${credentials.username}:${credentials.password}` }
  const common = { ...auth, agent: false, signal: AbortSignal.timeout(lookUpMsMax) } as const
  const tls = { rejectUnauthorized: !trust.noVerify, ...(trust.ca === undefined ? {} : { ca: trust.ca }) }
  return new Promise((resolve) => {
    const unreachable = (error: NodeJS.ErrnoException): void =>
      resolve(problem('api_unreachable', `${new URL(url).origin} cannot be asked (${error.code ?? error.name})`))
    const request = url.startsWith('https:') ? requestHttps(url, { ...common, ...tls }) : requestHttp(url, common)
    request.on('error', unreachable)
    request.on('response', (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
        if (body.length > replyBytesMax) response.destroy()
      })
      response.on('error', unreachable)
      response.on('close', () => resolve(ok({ status: response.statusCode ?? 0, body })))
    })
    request.end()
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: the schema refuses undefined.
    return undefined
  }
}

function problem(code: JoinAddressProblem['code'], message: string): { readonly ok: false; readonly problem: JoinAddressProblem } {
  return fail({ code, message })
}
