// GET /status: rqlite's tree, as far as it is true of us. Left out on purpose: process ids, paths of programs, command line and environment, which rqlite shows to
// everyone who may see the status.
import { formatGoDuration } from '../../contract/go-duration.ts'
import type { raftStates } from '../../contract/admin-api.ts'
import type { RaftStatus } from '../raft/raft-port.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonReply, refuse } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { indentJson } from './json-indent.ts'
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
    if (found === undefined) return refuse('not_found', 'no such key in the status')
    shown = found
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
    http: {
      allow_origin: parts.allowOrigin,
      auth: access.enabled ? 'enabled' : 'disabled',
      bind_addr: facts.httpBindAddress,
      cluster: { addr: facts.raftAddress, api_addr: apiAddress(parts), https: String(facts.tls.api) },
      tls: { enabled: String(facts.tls.api), client_verify: facts.tls.apiVerifyClient ? 'enabled' : 'disabled' },
    },
    network: { node_tls: { enabled: facts.tls.node, client_verify: facts.tls.nodeVerifyClient } },
    node: {
      current_time: new Date().toISOString(),
      start_time: new Date(facts.startedAtMs).toISOString(),
      uptime: formatGoDuration(Math.max(0, Math.round((Date.now() - facts.startedAtMs) / 1000)) * 1000),
    },
    store: {
      addr: facts.raftAddress,
      db_applied_index: raft?.appliedIndex ?? 0,
      dir: facts.dataDir,
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
        fk_constraints: 'disabled',
        version: store.sqliteVersion,
        wal_size: store.walBytes,
      },
      // Ours: `removed` and `diverged` nodes serve nothing (docs/operations.md).
      standing: view.replica()?.standing() ?? 'member',
    },
  }
}

function raftSection(parts: ApiParts, raft: RaftStatus | undefined) {
  const contactMs = parts.view.replica()?.leaderContactAgeMs()
  return {
    applied_index: raft?.appliedIndex ?? 0,
    commit_index: raft?.commitIndex ?? 0,
    fsm_pending: raft === undefined ? 0 : raft.commitIndex - raft.appliedIndex,
    last_contact: contactMs === undefined ? 'never' : formatGoDuration(Math.round(contactMs)),
    last_log_index: raft?.lastIndex ?? 0,
    last_log_term: raft?.lastTerm ?? 0,
    log_size: parts.view.store().logBytes,
    num_peers: Math.max(0, (raft?.membership.members.length ?? 0) - 1),
    state: stateOf(raft),
    term: raft?.term ?? 0,
    // Ours: an `untrusted` node follows and does not vote (docs/operations.md).
    trust: raft?.trust ?? 'trusted',
    voter: raft !== undefined && raft.membership.members.some(({ id, suffrage }) => id === raft.id && suffrage === 'voter'),
  }
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
