// What this node was told and where it is, as the API shows it.
import { formatHostPort } from '../../contract/host-port.ts'
import type { NodeConfiguration } from '../../contract/node-configuration.ts'
import type { NodeId } from '../raft/membership.ts'
import type { NodeFacts } from './node-view.ts'

export function nodeFacts(node: {
  readonly configuration: NodeConfiguration
  readonly nodeId: NodeId
  readonly version: string
  readonly startedAtMs: number
  readonly trailingEntries: number
}): NodeFacts {
  const { configuration, nodeId, version, startedAtMs, trailingEntries } = node
  const { http, raft } = configuration
  return {
    id: nodeId,
    version,
    startedAtMs,
    raftAddress: formatHostPort(raft.advertised),
    apiUrl: http.advertisedUrl,
    httpBindAddress: formatHostPort(http.listen),
    tls: {
      api: http.tls !== undefined,
      apiVerifyClient: http.tls?.verifyClient === true,
      node: raft.tls !== undefined,
      nodeVerifyClient: raft.tls?.verifyClient === true,
    },
    dataDir: configuration.dataDir,
    settings: {
      heartbeatTimeoutMs: raft.heartbeatTimeoutMs,
      electionTimeoutMs: raft.electionTimeoutMs,
      applyTimeoutMs: raft.applyTimeoutMs,
      compactionEveryEntries: raft.compaction.everyEntries,
      compactionIntervalMs: raft.compaction.intervalMs,
      trailingEntries,
      reapVoterMs: raft.reaping.voterMs,
      reapNonVoterMs: raft.reaping.nonVoterMs,
    },
  }
}
