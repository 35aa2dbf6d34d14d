// The route table: every path this node answers to.
import type { ApiParts } from './api-parts.ts'
import { consoleEndpoints } from './console-endpoints.ts'
import { debugVarsEndpoint } from './debug-vars-endpoint.ts'
import { backupEndpoint } from './backup-endpoint.ts'
import { checkEndpoint, checkReportEndpoints } from './check-endpoints.ts'
import type { Endpoint } from './endpoint.ts'
import { licensesEndpoint } from './licenses-endpoint.ts'
import { laterEndpoints } from './later-endpoints.ts'
import { leaderEndpoint } from './leader-endpoint.ts'
import { loadEndpoints } from './load-endpoint.ts'
import { loadStepEndpoint } from './load-steps.ts'
import { metricsEndpoint } from './metrics-endpoint.ts'
import { nodesEndpoint } from './nodes-endpoint.ts'
import { readyEndpoint } from './ready-endpoint.ts'
import { removeEndpoint } from './remove-endpoint.ts'
import { snapshotEndpoints } from './snapshot-endpoints.ts'
import { sqlEndpoint } from './sql-endpoint.ts'
import { statementEndpoints } from './statement-endpoints.ts'
import { statusEndpoint } from './status-endpoint.ts'

export function endpointsOf(parts: ApiParts): readonly Endpoint[] {
  return [
    ...statementEndpoints(parts),
    sqlEndpoint(parts),
    statusEndpoint(parts),
    nodesEndpoint(parts),
    leaderEndpoint(parts),
    removeEndpoint(parts),
    ...snapshotEndpoints(parts),
    checkEndpoint(parts),
    backupEndpoint(parts),
    ...loadEndpoints(parts),
    readyEndpoint(parts),
    metricsEndpoint(parts),
    debugVarsEndpoint(parts),
    licensesEndpoint,
    ...consoleEndpoints,
    ...laterEndpoints,
  ]
}

/** Paths that only other members may use; for clients they do not exist. */
export function memberEndpointsOf(parts: ApiParts): readonly Endpoint[] {
  return [loadStepEndpoint(parts), ...checkReportEndpoints(parts)]
}
