// The order in which every request is judged: permission, then method, then room, then the endpoint itself. Permission comes before method, as in rqlite:
// without rights a wrong method is 401, so nobody learns what exists.
import type { Permission } from '../../contract/permissions.ts'
import { refusalCodes } from '../../contract/refusal.ts'
import type { RefusalCode } from '../../contract/refusal.ts'
import type { Logger } from '../../runtime/log.ts'
import type { CountingMetric, TimingMetric } from '../../runtime/metrics.ts'
import type { Decision } from '../access/access.ts'
import { anonymous } from '../access/identity.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { refuse } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { standingRefusal } from './standing.ts'

/** A request before it is known who asks. */
export interface Call extends Omit<ApiRequest, 'identity' | 'deadlineAtMs' | 'origin'> {
  readonly origin: (typeof origins)[number]
  readonly authorize: (needed: readonly Permission[]) => Promise<Decision>
  /** What the other end allows at most; the parameter `timeout` may ask for less. */
  readonly timeoutMsMax: number
  /** For the log. */
  readonly address: string
}

const origins = ['client', 'member'] as const
// rqlite's default for `timeout`.
const timeoutMsDefault = 30_000

export class ApiService {
  readonly #parts: ApiParts
  readonly #requestsMax: number
  readonly #log: Logger
  readonly #refusals: CountingMetric<{ readonly code: readonly RefusalCode[] }>
  readonly #seconds: TimingMetric<{ readonly endpoint: readonly string[] }>
  readonly #requests: CountingMetric<{ readonly endpoint: readonly string[]; readonly origin: typeof origins }>
  #serving = 0

  constructor(parts: ApiParts, endpoints: readonly Endpoint[]) {
    this.#parts = parts
    this.#requestsMax = parts.limits.requestsMax
    this.#log = parts.logger.child({ part: 'api' })
    this.#refusals = parts.metrics.counter({
      name: 'securesql_refusals_total',
      help: 'Requests that were refused, by the code of the header X-SecureSQL-Code.',
      labels: { code: refusalCodes },
    })
    this.#requests = parts.metrics.counter({
      name: 'securesql_requests_total',
      help: 'Requests for a path of the API, whatever became of them, by who sent them: a client, or a member that forwarded it.',
      labels: { endpoint: endpoints.map(({ path }) => path), origin: origins },
    })
    this.#seconds = parts.metrics.timing({
      name: 'securesql_http_request_seconds',
      help: 'Time from the head of a request to its answer.',
      labels: { endpoint: endpoints.map(({ path }) => path) },
      bucketSeconds: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
    })
    parts.metrics.gauge({ name: 'securesql_http_requests', help: 'Requests being served.', read: () => this.#serving })
    parts.metrics.gauge({
      name: 'securesql_http_requests_waiting',
      help: 'Requests that wait for a leader.',
      read: () => parts.leaderWatch.waiting,
    })
    parts.metrics.gauge({
      name: 'securesql_node_serves_data',
      help: '0 on a node that was removed from its cluster, or whose data differs from it, and on one that belongs to none yet.',
      read: () => (parts.view.replica()?.standing() === 'member' ? 1 : 0),
    })
  }

  async answer(endpoint: Endpoint, call: Call): Promise<ApiReply> {
    this.#requests.add({ endpoint: endpoint.path, origin: call.origin })
    const reply = await this.#judge(endpoint, call)
    this.#seconds.observe({ endpoint: endpoint.path }, (performance.now() - call.startedAtMs) / 1000)
    return this.noted(reply, { method: call.method, endpoint: endpoint.path, origin: call.origin, address: call.address })
  }

  /** Counts and logs a refusal; every reply passes here once. */
  noted(reply: ApiReply, about: { method: string; endpoint: string; origin: 'client' | 'member'; address: string }): ApiReply {
    if (reply.refusal === undefined) return reply
    const { code, message } = reply.refusal
    this.#refusals.add({ code })
    const { method, endpoint, origin, address } = about
    this.#log.info({ code, why: message, endpoint, origin, client: { address, method: method.slice(0, 16) } }, 'request refused')
    return reply
  }

  async #judge(endpoint: Endpoint, call: Call): Promise<ApiReply> {
    const decision: Decision =
      endpoint.permissions.length === 0 ? { kind: 'allowed', identity: anonymous } : await call.authorize(endpoint.permissions)
    if (decision.kind === 'denied') return denial(decision.code)
    if (!endpoint.methods.includes(call.method)) {
      return refuse('method_not_allowed', 'method not allowed', { Allow: ['OPTIONS', ...endpoint.methods].join(', ') })
    }
    const standing = endpoint.alwaysServed ? undefined : standingRefusal(this.#parts)
    if (standing !== undefined) return standing
    if (!endpoint.alwaysServed && this.#serving >= this.#requestsMax) return refuse('overloaded', 'too many requests at a time; try again')
    const timeoutMs = Math.min(call.parameters.durationMs('timeout') ?? timeoutMsDefault, call.timeoutMsMax)
    this.#serving += 1
    try {
      return await endpoint.handle({ ...call, identity: decision.identity, deadlineAtMs: call.startedAtMs + timeoutMs })
    } catch (err) {
      // A fault of ours: one request's fault must not take the node from all others.
      this.#log.error({ err, endpoint: endpoint.path }, 'request failed')
      return refuse('internal', 'internal error')
    } finally {
      this.#serving -= 1
    }
  }
}

function denial(code: Extract<Decision, { kind: 'denied' }>['code']): ApiReply {
  switch (code) {
    case 'permission_denied':
      return refuse(code, 'permission denied')
    case 'credentials_locked_out':
      return refuse(code, 'locked out after repeated failures')
    case 'overloaded':
      return refuse(code, 'too many passwords are being checked; try again')
  }
}
