// GET /status: rqlite's tree, as far as it is true of us (docs/compatibility.md names what is left out). Never paths of keys, command line or environment.
import { printGoDuration } from '../../contract/go-duration.ts'
import type { raftStates } from '../../contract/admin-api.ts'
import type { RaftStatus } from '../raft/raft-port.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonReply } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { indentJson } from './json-indent.ts'
import { osStatus, runtimeStatus } from './machine-status.ts'
import type { NodeSettings } from './node-view.ts'
import { isReady } from './ready-endpoint.ts'
import { apiAddress } from './statement-reply.ts'

export function statusEndpoint(parts: ApiParts): Endpoint {
  return {
    path: '/status',
    methods: ['GET'],
    permissions: ['status'],
    forwardable: false,
    alwaysServed: true,
    handle: (request) => Promise.resolve(show(nodeStatusOf(parts), request)),
  }
}

function show(status: unknown, request: ApiRequest): ApiReply {
  let shown: unknown = status
  for (const name of request.parameters.text('key')?.split('.') ?? []) {
    const found: unknown = typeof shown === 'object' && shown !== null && Object.hasOwn(shown, name) ? Reflect.get(shown, name) : undefined
    // rqlite's answer to a key that it does not have.
    shown = found ?? {}
    if (found === undefined) break
  }
  const json = JSON.stringify(shown)
  return jsonReply(request.parameters.has('pretty') ? indentJson(json) : json)
}

/** The operator reads a part of it with contract/admin-api.ts; a test keeps both in step. */
function nodeStatusOf(parts: ApiParts) {
  const { view, access } = parts
  const { facts } = view
  const store = view.store()
  const raft = view.replica()?.status()
  const leader = raft?.membership.members.find(({ id }) => id === raft.leader)
  return {
    build: { version: facts.version },
    extensions: { names: [] },
    http: {
      allow_origin: parts.allowOrigin,
      auth: access.enabled ? 'enabled' : 'disabled',
      bind_addr: facts.httpBindAddress,
      cluster: { addr: facts.raftAddress, api_addr: apiAddress(parts), https: String(facts.tls.api) },
      queue: { _default: queueSection(parts) },
      tls: { enabled: String(facts.tls.api), client_verify: facts.tls.apiVerifyClient ? 'enabled' : 'disabled' },
    },
    mux: { addr: facts.raftAddress, tls: facts.tls.node ? 'enabled' : 'disabled' },
    network: { node_tls: { enabled: facts.tls.node, client_verify: facts.tls.nodeVerifyClient } },
    node: {
      current_time: new Date().toISOString(),
      start_time: new Date(facts.startedAtMs).toISOString(),
      uptime: printGoDuration(Math.max(0, Math.round((Date.now() - facts.startedAtMs) / 1000)) * 1000),
    },
    os: osStatus(),
    runtime: runtimeStatus(),
    store: {
      ...settingsOf(facts.settings),
      addr: facts.raftAddress,
      check: checkSection(parts),
      db_applied_index: raft?.appliedIndex ?? 0,
      db_conf: { fk_constraints: store.foreignKeys ? 'enabled' : 'disabled' },
      dir: facts.dataDir,
      dir_size: store.databaseBytes + store.walBytes + store.logBytes + store.snapshotBytes,
      fsm_index: raft?.appliedIndex ?? 0,
      leader: { addr: leader?.raftAddress ?? '', node_id: leader?.id ?? '' },
      node_id: facts.id,
      nodes: (raft?.membership.members ?? []).map(({ id, raftAddress, suffrage }) => ({
        addr: raftAddress,
        id,
        suffrage: suffrage === 'voter' ? ('voter' as const) : ('nonvoter' as const),
      })),
      open: raft !== undefined,
      raft: raftSection(parts, raft),
      ready: isReady(parts),
      sqlite3: {
        db_size: store.databaseBytes,
        fk_constraints: store.foreignKeys ? 'enabled' : 'disabled',
        size: store.databaseBytes + store.walBytes,
        version: store.sqliteVersion,
        wal_size: store.walBytes,
      },
      // Ours: `removed` and `diverged` nodes serve nothing (docs/operations.md).
      standing: view.replica()?.standing() ?? 'member',
    },
  }
}

function settingsOf(settings: NodeSettings) {
  return {
    apply_timeout: printGoDuration(settings.applyTimeoutMs),
    election_timeout: printGoDuration(settings.electionTimeoutMs),
    heartbeat_timeout: printGoDuration(settings.heartbeatTimeoutMs),
    reap_read_only_timeout: printGoDuration(settings.reapNonVoterMs ?? 0),
    reap_timeout: printGoDuration(settings.reapVoterMs ?? 0),
    snapshot_interval: printGoDuration(settings.compactionIntervalMs),
    snapshot_threshold: settings.compactionEveryEntries,
    trailing_logs: settings.trailingEntries,
  }
}

function queueSection({ writeQueue }: ApiParts) {
  const { capacity, batchSize, timeoutMs } = writeQueue.settings
  return { batch_size: batchSize, max_size: capacity, sequence_number: writeQueue.sequenceNumber, timeout: printGoDuration(timeoutMs) }
}

function raftSection(parts: ApiParts, raft: RaftStatus | undefined) {
  const contactMs = parts.view.replica()?.leaderContactAgeMs()
  return {
    applied_index: raft?.appliedIndex ?? 0,
    commit_index: raft?.commitIndex ?? 0,
    fsm_pending: raft === undefined ? 0 : raft.commitIndex - raft.appliedIndex,
    last_contact: raft?.role === 'leader' ? '0' : contactMs === undefined ? 'never' : printGoDuration(Math.round(contactMs)),
    last_log_index: raft?.lastIndex ?? 0,
    last_log_term: raft?.lastTerm ?? 0,
    // What the log has given up, because the database holds it: there is no other snapshot.
    last_snapshot_index: parts.view.store().logBaseIndex,
    last_snapshot_term: parts.view.store().logBaseTerm,
    latest_configuration: configurationText(raft),
    log_size: parts.view.store().logBytes,
    num_peers: Math.max(0, (raft?.membership.members.length ?? 0) - 1),
    state: stateOf(raft),
    term: raft?.term ?? 0,
    // Ours: an `untrusted` node follows and does not vote (docs/operations.md).
    trust: raft?.trust ?? 'trusted',
    voter: raft !== undefined && raft.membership.members.some(({ id, suffrage }) => id === raft.id && suffrage === 'voter'),
  }
}

/** Ours: the last check of the whole database, as far as this process knows (docs/operations.md). */
function checkSection({ checks }: ApiParts) {
  const { isWanted, markIndex, finding } = checks.report()
  const endedAtMs = checks.endedAtMs()
  return {
    ended_at: endedAtMs === undefined ? '' : new Date(endedAtMs).toISOString(),
    faults: finding.kind === 'found' ? finding.faults : [],
    hash: finding.kind === 'found' ? (finding.content ?? '') : '',
    index: finding.kind === 'none' ? 0 : finding.index,
    latest_index: markIndex,
    phase: finding.kind === 'running' ? finding.phase : '',
    reason: finding.kind === 'failed' ? finding.reason : '',
    result: checks.result(),
    wanted: isWanted,
  }
}

/** As rqlite's Raft library prints it. */
function configurationText(raft: RaftStatus | undefined): string {
  const members = raft?.membership.members ?? []
  return `[${members.map(({ id, raftAddress, suffrage }) => `{Suffrage:${suffrage === 'voter' ? 'Voter' : 'Nonvoter'} ID:${id} Address:${raftAddress}}`).join(' ')}]`
}

function stateOf(raft: RaftStatus | undefined): (typeof raftStates)[number] {
  switch (raft?.role) {
    case 'leader':
      return 'Leader'
    case 'follower':
      return 'Follower'
    case 'candidate':
    case 'pre-candidate':
      return 'Candidate'
    case 'learner':
      return 'Learner'
    case undefined:
      return 'Shutdown'
  }
}
