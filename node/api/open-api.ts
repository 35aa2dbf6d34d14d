// The door of the room: puts the endpoints behind a listening server and gives the peers a way to bring forwarded requests in.
import type { HostPort } from '../../contract/host-port.ts'
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Access } from '../access/access.ts'
import { encodeCommand } from '../command/command-codec.ts'
import { judgeText } from '../command/gate.ts'
import { rememberVerdicts } from '../command/verdict-cache.ts'
import { apiLimits } from './api-limits.ts'
import type { ApiLimits } from './api-limits.ts'
import type { ApiParts } from './api-parts.ts'
import { ApiServer } from './api-server.ts'
import type { ListenProblem } from './api-server.ts'
import { ApiService } from './api-service.ts'
import type { ApiTls } from './api-tls.ts'
import { endpointsOf } from './endpoints.ts'
import { refuse } from './exchange.ts'
import { forwardedRequests } from './forwarded-requests.ts'
import type { ForwardedRequestHandler, Forwarder } from './forwarder.ts'
import { HttpFront } from './http-front.ts'
import type { NodeView } from './node-view.ts'
import type { Reader } from './reader.ts'

export interface ApiOptions {
  readonly listen: HostPort
  /** Undefined: plain HTTP, as rqlite without `-http-cert`; the configuration has warned of it. */
  readonly tls: ApiTls | undefined
  readonly access: Access
  readonly view: NodeView
  readonly reader: Reader
  readonly forwarder: Forwarder
  readonly logger: Logger
  readonly metrics: Metrics
  /** `-http-allow-origin`. */
  readonly allowOrigin: string | undefined
  readonly limits?: Partial<ApiLimits>
}

export interface OpenedApi {
  readonly address: { readonly host: string; readonly port: number }
  /** For node/peer: what other members forward to this node. */
  readonly handler: ForwardedRequestHandler
  /** Lets requests under way finish for a moment, then cuts. */
  close(): Promise<void>
}

/** Serves at once, also before the node belongs to a cluster: /readyz and /status tell so. */
export async function openApi(options: ApiOptions): Promise<Result<OpenedApi, ListenProblem>> {
  const { access, view, reader, forwarder, logger, metrics, allowOrigin } = options
  const limits = { ...apiLimits, ...options.limits }
  const judge = rememberVerdicts(judgeText)
  const parts: ApiParts = { access, view, reader, forwarder, judge, encode: encodeCommand, limits, logger, metrics, allowOrigin }
  const endpoints = endpointsOf(parts)
  const service = new ApiService(parts, endpoints)
  const front = new HttpFront(parts, service, endpoints)
  const server = new ApiServer({
    tls: options.tls,
    limits,
    logger,
    metrics,
    onRequest: (message, response, how) => front.handle(message, response, how),
    onRefusal: (code, message, address) =>
      void service.noted(refuse(code, message), { method: '', endpoint: 'none', origin: 'client', address }),
  })
  const address = await server.listen(options.listen)
  if (!address.ok) return address
  return ok({ address: address.value, handler: forwardedRequests(parts, service, endpoints), close: () => server.close() })
}
