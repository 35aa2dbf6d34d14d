// One row of the route table.
import type { Permission } from '../../contract/permissions.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'

export interface Endpoint {
  /** Exactly this path; a path that ends in `/*` stands for everything below it. */
  readonly path: string
  readonly methods: readonly string[]
  /** All of them are needed. Empty: open to everyone. */
  readonly permissions: readonly Permission[]
  /** A member may forward it here. */
  readonly forwardable: boolean
  /** Answered even when too many requests are being served, or this node's data may not be: probes and metrics must tell of that, not fail in it. */
  readonly alwaysServed: boolean
  handle(request: ApiRequest): Promise<ApiReply>
}
