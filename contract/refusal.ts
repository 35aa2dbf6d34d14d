// Every refusal that a node gives a client, with its HTTP status. Codes are API: sent in the header `X-SecureSQL-Code`, logged, counted, never renamed;
// retired ones stay listed here as a comment. docs/errors.md says for each what to do; a test keeps both in step.

/** Where rqlite's contract fixes the status, it is rqlite's (401 for "who are you" and "not allowed" alike; 503 without a leader). 200: the refusal stands in the JSON body. */
export const refusals = {
  permission_denied: 401,
  credentials_locked_out: 401,
  cross_site_request: 403,
  method_not_allowed: 405,
  not_found: 404,
  invalid_parameter: 400,
  invalid_json: 400,
  invalid_request: 400,
  no_statements: 400,
  unsupported_parameter_type: 400,
  body_too_large: 413,
  url_too_long: 414,
  headers_too_large: 431,
  request_timeout: 408,
  queue_wait_timeout: 408,
  file_refused: 400,
  backup_refused: 400,
  load_replaced: 409,
  database_not_empty: 409,
  no_space: 507,
  backup_failed: 500,
  not_single_node: 503,
  not_supported_yet: 501,
  leader_unknown: 503,
  not_ready: 503,
  node_removed: 503,
  state_diverged: 503,
  overloaded: 503,
  outcome_unknown: 503,
  deadline: 503,
  forward_failed: 503,
  transfer_failed: 503,
  membership_change_pending: 503,
  // rqlite's status for what its Raft library refuses.
  last_voter: 500,
  stale_read: 200,
  statement_refused: 200,
  statement_not_deterministic: 200,
  result_too_large: 200,
  statement_timeout: 200,
  statement_out_of_memory: 200,
  write_too_large: 200,
  vacuum_too_soon: 200,
  rehearsal_unavailable: 503,
  internal: 500,
} as const satisfies Record<string, number>

export type RefusalCode = keyof typeof refusals

export interface Refusal {
  readonly code: RefusalCode
  /** One plain sentence for people; never a secret, a bound value or SQL text beyond SQLite's own error. */
  readonly message: string
}

export const refusalHeader = 'X-SecureSQL-Code'

export const refusalCodes = Object.keys(refusals).filter(isRefusalCode)

export function isRefusalCode(text: string): text is RefusalCode {
  return Object.hasOwn(refusals, text)
}
