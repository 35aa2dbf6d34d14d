// rqlite's counters, by the maps of its /debug/vars in the order of the alphabet, and where this program counts the same thing. A counter of rqlite's that has no
// counterpart here is left out; a test looks that each one named here is fed by a series that exists.

/** The sum of the series of `metric` whose labels have one of the values. */
export interface Counted {
  readonly metric: string
  readonly where: Readonly<Record<string, readonly string[]>>
}

const requests = (endpoint: string, origin: 'client' | 'member' = 'client'): Counted => ({
  metric: 'securesql_requests_total',
  where: { endpoint: [endpoint], origin: [origin] },
})
const statements = (purpose: string): Counted => ({ metric: 'securesql_statements_received_total', where: { purpose: [purpose] } })
const forwarded = (endpoint: string, ...outcome: string[]): Counted => ({
  metric: 'securesql_requests_forwarded_total',
  where: { endpoint: [endpoint], outcome },
})
const refusals = (code: string): Counted => ({ metric: 'securesql_refusals_total', where: { code: [code] } })
const decisions = (...outcome: string[]): Counted => ({ metric: 'securesql_access_decisions_total', where: { outcome } })
const raftEvents = (kind: string): Counted => ({ metric: 'securesql_raft_events_total', where: { kind: [kind] } })
const peerEvents = (kind: string): Counted => ({ metric: 'securesql_peer_events_total', where: { kind: [kind] } })
const queuedWrites = (...outcome: string[]): Counted => ({ metric: 'securesql_queue_writes_total', where: { outcome } })
const queuedStatements = (event: string): Counted => ({ metric: 'securesql_queue_statements_total', where: { event: [event] } })
const reaped = (outcome: string): Counted => ({ metric: 'securesql_members_reaped_total', where: { outcome: [outcome] } })

// rqlite counts an attempt that failed as an attempt too.
const remote = {
  remote_executions: forwarded('/db/execute', 'answered', 'failed'),
  remote_executions_failed: forwarded('/db/execute', 'failed'),
  remote_queries: forwarded('/db/query', 'answered', 'failed'),
  remote_queries_failed: forwarded('/db/query', 'failed'),
  remote_requests: forwarded('/db/request', 'answered', 'failed'),
  remote_requests_failed: forwarded('/db/request', 'failed'),
  remote_backups: forwarded('/db/backup', 'answered', 'failed'),
  remote_loads: forwarded('/db/load', 'answered', 'failed'),
  remote_remove_node: forwarded('/remove', 'answered', 'failed'),
  remote_stepdowns: forwarded('/leader', 'answered', 'failed'),
}

export const rqliteMaps: Readonly<Record<string, Readonly<Record<string, Counted>>>> = {
  'cdc.service': {},
  cluster: {
    num_backup_requests: requests('/db/backup', 'member'),
    num_execute_requests: requests('/db/execute', 'member'),
    num_join_requests: peerEvents('node-joined'),
    num_load_requests: requests('/db/load', 'member'),
    num_query_requests: requests('/db/query', 'member'),
    num_remove_node_requests: requests('/remove', 'member'),
    num_request_requests: requests('/db/request', 'member'),
    num_stepdown_requests: requests('/leader', 'member'),
  },
  db: {},
  'db.wal': {},
  downloader: {},
  http: {
    auth_fail: decisions('no_credentials', 'malformed', 'unknown_user', 'wrong_password', 'not_permitted', 'locked_out', 'overloaded'),
    auth_ok: decisions('open', 'everyone', 'authenticated'),
    backups: requests('/db/backup'),
    boot: requests('/boot'),
    execute_stmts_rx: statements('execute'),
    executions: requests('/db/execute'),
    leader_not_found: refusals('leader_unknown'),
    loads: requests('/db/load'),
    num_readyz: requests('/readyz'),
    num_status: requests('/status'),
    queries: requests('/db/query'),
    query_stmts_rx: statements('query'),
    queued_executions_failed: queuedWrites('refused', 'unknown', 'given_up'),
    queued_executions_num_stmts_rx: queuedStatements('queued'),
    queued_executions_num_stmts_tx: queuedStatements('written'),
    queued_executions_ok: queuedWrites('written'),
    ...remote,
    request_stmts_rx: statements('request'),
    requests: requests('/db/request'),
    user_reaps: requests('/reap'),
    user_snapshots: requests('/snapshot'),
  },
  mux: {},
  proto: {},
  proxy: remote,
  queue: { objects_rx: queuedStatements('queued'), objects_tx: queuedStatements('written') },
  snapshot: {},
  'snapshot.plan': {},
  'sql.processor': {},
  store: {
    leader_changes_observed: raftEvents('became-follower'),
    nodes_reaped_failed: reaped('not_removed'),
    nodes_reaped_ok: reaped('removed'),
    num_restores: { metric: 'securesql_raft_snapshots_installed_total', where: {} },
    num_snapshots: { metric: 'securesql_raft_log_compactions_total', where: {} },
  },
  uploader: {},
}
