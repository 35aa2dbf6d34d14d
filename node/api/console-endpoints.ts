// Where rqlite has its console in the browser. The ways there are kept, as clients and people know them; there is no console yet, and what stands at their end says so.
import type { Endpoint } from './endpoint.ts'
import { refuse } from './exchange.ts'
import type { ApiReply } from './exchange.ts'

const console = '/console/'
const rest = { forwardable: false, alwaysServed: false } as const
const anyMethod = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

export const consoleEndpoints: readonly Endpoint[] = [
  { path: '/', methods: anyMethod, permissions: [], ...rest, handle: () => to(302) },
  { path: '/console', methods: anyMethod, permissions: [], ...rest, handle: () => to(301) },
  ...[console, `${console}*`].map((path): Endpoint => ({
    path,
    methods: ['GET', 'HEAD'],
    permissions: ['ui'],
    ...rest,
    handle: () => Promise.resolve(refuse('not_supported_yet', 'the console is not supported yet')),
  })),
]

function to(status: 301 | 302): Promise<ApiReply> {
  return Promise.resolve({ status, headers: { Location: console }, body: '' })
}
