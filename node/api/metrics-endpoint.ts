// GET /metrics for Prometheus. It tells of load and of refusals, so it needs the permission that /status needs.
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'

export function metricsEndpoint({ metrics }: ApiParts): Endpoint {
  return {
    path: '/metrics',
    methods: ['GET'],
    permissions: ['status'],
    forwardable: false,
    alwaysServed: true,
    handle: async () => ({ status: 200, headers: { 'Content-Type': metrics.contentType }, body: await metrics.render() }),
  }
}
