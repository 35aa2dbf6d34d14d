// What rqlite has and this node does not have yet: refused by name, after the permission has been checked, so that nobody learns anything who could not use it later.
import type { Permission } from '../../contract/permissions.ts'
import type { Endpoint } from './endpoint.ts'
import { refuse } from './exchange.ts'

const any = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

const rows: readonly (readonly [path: string, methods: readonly string[], permissions: readonly Permission[]])[] = [
  ['/debug/pprof', any, ['status']],
  ['/debug/pprof/*', any, ['status']],
]

export const laterEndpoints: readonly Endpoint[] = rows.map(([path, methods, permissions]) => ({
  path,
  methods,
  permissions,
  forwardable: false,
  alwaysServed: false,
  handle: () => Promise.resolve(refuse('not_supported_yet', `${path} is not supported yet`)),
}))
