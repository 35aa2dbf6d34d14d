// The route table: which methods and permissions each path has, and what does not exist. What the endpoints do stands in other files.
import assert from 'node:assert/strict'
import type { Permission } from '../../contract/permissions.ts'
import { userWith, userWithout } from './contract-place.ts'
import type { ContractCase, Place } from './contract-place.ts'

/** As in docs/api.md, which a test compares with the code. */
const routes: readonly (readonly [path: string, methods: readonly string[], permissions: readonly Permission[]])[] = [
  ['/db/execute', ['POST'], ['execute']],
  ['/db/query', ['GET', 'POST'], ['query']],
  ['/db/request', ['POST'], ['query', 'execute']],
  ['/db/backup', ['GET'], ['backup']],
  ['/db/load', ['POST'], ['load']],
  ['/db/sql', ['GET', 'POST'], ['query']],
  ['/boot', ['POST'], ['load']],
  ['/snapshot', ['POST'], ['snapshot']],
  ['/reap', ['POST'], ['snapshot']],
  ['/check', ['POST'], ['snapshot']],
  ['/remove', ['DELETE'], ['remove']],
  ['/status', ['GET'], ['status']],
  ['/nodes', ['GET'], ['status']],
  ['/leader', ['GET', 'POST'], ['leader-ops']],
  ['/readyz', ['GET'], ['ready']],
  ['/licenses', ['GET'], ['status']],
  ['/debug/vars', ['GET'], ['status']],
  ['/console/', ['GET', 'HEAD'], ['ui']],
  ['/console/x.js', ['GET', 'HEAD'], ['ui']],
  ['/metrics', ['GET'], ['status']],
]
const methods = ['GET', 'POST', 'DELETE', 'PUT', 'PATCH']

/** Those of the table, and those that lead elsewhere or are for everybody: all that docs/api.md lists. */
export const routedPaths: readonly string[] = [...routes.map(([path]) => path.replace('x.js', '*')), '/', '/console']

/** What makes each method end at its first check of the body, so that nothing is removed, handed over or loaded. */
const harmless = { headers: { 'Content-Type': 'application/json' }, body: 'no JSON' } as const

export const routeCases: readonly ContractCase[] = [
  ...routes.map(([path, known, needed]): ContractCase => ({
    title: `${path} answers to ${known.join(' and ')} of whoever may ${needed.join(' and ')}, and to nothing else`,
    run: (place) => checkRoute(place, { path, known, needed }),
  })),
  {
    title: '/ leads to /console/ with 302 and /console with 301, for anyone and by any method',
    run: async (place) => {
      for (const method of methods) {
        const root = await place.ask('/', { method, as: 'nobody' })
        assert.deepEqual([root.status, root.headers.location], [302, '/console/'], method)
        const short = await place.ask('/console', { method, as: 'nobody' })
        assert.deepEqual([short.status, short.headers.location], [301, '/console/'], method)
      }
    },
  },
  {
    title: 'there is no console yet, and it says so',
    run: async (place) => {
      const answer = await place.ask('/console/', { as: userWith('ui') })
      assert.deepEqual([answer.status, answer.headers['x-securesql-code']], [501, 'not_supported_yet'])
    },
  },
  {
    title: 'there is no profiler, which is refused by name',
    run: async (place) => {
      for (const path of ['/debug/pprof', '/debug/pprof/cmdline', '/debug/pprof/profile']) {
        assert.equal((await place.ask(path, { as: userWithout('status') })).status, 401, path)
        assert.equal((await place.ask(path, { as: userWith('status') })).headers['x-securesql-code'], 'not_supported_yet', path)
      }
    },
  },
  {
    title: 'what rqlite gave up or never had is not there',
    run: async (place) => {
      for (const path of ['/join', '/notify', '/db', '/cdc', '/extensions', '/users', '/debug', '/favicon.ico']) {
        for (const method of ['GET', 'POST']) assert.equal((await place.ask(path, { method })).status, 404, path)
      }
    },
  },
]

async function checkRoute(
  place: Place,
  { path, known, needed }: { readonly path: string; readonly known: readonly string[]; readonly needed: readonly Permission[] },
): Promise<void> {
  const [first = 'GET'] = known
  // Everybody may ask whether the node is ready, in this suite's access file.
  for (const permission of needed.filter((one) => one !== 'ready')) {
    for (const as of ['nobody', userWithout(permission)]) {
      for (const method of [first, 'PATCH']) {
        const denied = await place.ask(path, { method, as, ...(method === 'GET' ? {} : harmless) })
        assert.equal(denied.status, 401, `${method} ${path} as ${as}`)
      }
    }
  }
  const [only, second] = needed
  const as = second === undefined && only !== undefined ? userWith(only) : 'admin'
  for (const method of methods) {
    const answer = await place.ask(path, { method, as, ...(method === 'GET' ? {} : harmless) })
    if (known.includes(method)) assert.ok(![401, 404, 405].includes(answer.status), `${method} ${path}: ${answer.status}`)
    else assert.deepEqual([answer.status, answer.headers.allow], [405, ['OPTIONS', ...known].join(', ')], `${method} ${path}`)
  }
}
