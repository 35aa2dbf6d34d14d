// What one row of a flag table says. Kinds are closed: parser, help, documentation and rendering each switch over them.

export type FlagKind =
  | 'string'
  /** Path of a file or folder; empty: none. */
  | 'path'
  | 'bool'
  /** Whole number, 0 or more. */
  | 'int'
  /** Go syntax; milliseconds inside. Never negative. */
  | 'duration'
  /** `host:port`. */
  | 'address'
  /** Comma list of Raft addresses or API URLs, see `join`. */
  | 'join-list'
  | 'log-level'
  /** How other nodes are found in DNS. */
  | 'disco-mode'

export const flagGroups = [
  'General',
  'HTTP API',
  'Users',
  'Raft port',
  'Raft',
  'Joining',
  'Database',
  'Discovery',
  'Backup',
  'Queued writes',
  'Export',
  'Profiling',
] as const

/** A row without its status: which table it stands in says that. */
export interface FlagRow {
  readonly kind: FlagKind
  readonly group: (typeof flagGroups)[number]
  /** As one would type it; empty: not set. */
  readonly default: string
  /** Plain sentences; the first alone must make sense. */
  readonly help: string
}

/**
 * `now`: works. `later`: known, refused by name when it is given ("not supported yet"), never silently accepted. `gone`: an option of older rqlite versions
 * that has no meaning any more; the help says what replaced it.
 */
export type FlagStatus = 'now' | 'later' | 'gone'

export type Flag = FlagRow & {
  readonly status: FlagStatus
  /** Of a flag that comes later: what stands in its place, or why it has to wait. */
  readonly why?: string
}
