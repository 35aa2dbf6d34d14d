// Every key of /status. What rqlite has besides is named in docs/compatibility.md, with the reason.

const rqlites = {
  '': 'build.version extensions.names os.hostname os.pid os.ppid node.current_time node.start_time node.uptime mux.addr mux.tls',
  http: 'auth bind_addr cluster.addr cluster.api_addr cluster.https queue._default.batch_size queue._default.max_size queue._default.sequence_number queue._default.timeout tls.enabled',
  runtime: 'GOARCH GOMAXPROCS GOOS num_cpu version',
  store:
    'addr apply_timeout db_applied_index db_conf.fk_constraints dir dir_size election_timeout fsm_index heartbeat_timeout leader.addr leader.node_id node_id nodes open ready reap_read_only_timeout reap_timeout snapshot_interval snapshot_threshold trailing_logs',
  'store.raft':
    'applied_index commit_index fsm_pending last_contact last_log_index last_log_term last_snapshot_index last_snapshot_term latest_configuration log_size num_peers state term voter',
  'store.sqlite3': 'db_size fk_constraints size version wal_size',
} as const

const ours =
  'http.tls.client_verify network.node_tls.client_verify network.node_tls.enabled store.raft.trust store.standing store.check.ended_at store.check.faults store.check.hash store.check.index store.check.latest_index store.check.phase store.check.reason store.check.result store.check.wanted'

export const statusKeys: readonly string[] = [
  ...Object.entries(rqlites).flatMap(([section, keys]) => keys.split(' ').map((key) => (section === '' ? key : `${section}.${key}`))),
  ...ours.split(' '),
]
