// The permissions of the rqlite security documents, one list for access file, CRD and API.

/** Every permission that an access-file entry or a resource's user may name. `all` grants every other one. `join-read-replica` is the newer name of `join-read-only`; both are accepted and equal. */
export const permissions = [
  'all',
  'execute',
  'query',
  'load',
  'backup',
  'snapshot',
  'status',
  'ready',
  'join',
  'join-read-only',
  'join-read-replica',
  'remove',
  'leader-ops',
  'ui',
] as const

export type Permission = (typeof permissions)[number]
