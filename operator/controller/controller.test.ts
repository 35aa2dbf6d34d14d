import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { pino } from 'pino'
import { must, refTo, secret, secretKind } from '../kube/kube-contract-objects.ts'
import type { KubeObject } from '../kube/kube.ts'
import { MemoryKube } from '../kube/memory-kube.ts'
import { Controller } from './controller.ts'
import type { ClusterName, ControllerEvent, ControllerOptions } from './controller.ts'
import { FaultyKube } from './faulty-kube.ts'
import { ManualClock } from './manual-clock.ts'

const clusterKind = { apiVersion: 'securesql.dev/v1alpha1', kind: 'SecureSqlCluster' }

function cluster(name: string, replicas: number): KubeObject {
  return { ...clusterKind, metadata: { namespace: 'shop', name }, spec: { replicas } }
}

interface World {
  readonly clock: ManualClock
  readonly server: MemoryKube
  readonly kube: FaultyKube
  readonly events: ControllerEvent[]
  readonly start: (reconcile: ControllerOptions['reconcile']) => Controller
}

function ownerOf({ metadata }: KubeObject): readonly ClusterName[] {
  const name = metadata.labels?.['owner']
  return name === undefined ? [] : [{ namespace: metadata.namespace ?? '', name }]
}

function world(): World {
  const clock = new ManualClock()
  let made = 0
  const server = new MemoryKube({ now: () => new Date(clock.wallMs()), newUid: () => `uid-${(made += 1)}` })
  const kube = new FaultyKube(server)
  const events: ControllerEvent[] = []
  const watches = [
    { kind: clusterKind, clustersOf: ({ metadata }: KubeObject) => [{ namespace: metadata.namespace ?? '', name: metadata.name }] },
    { kind: secretKind, labelSelector: 'managed=yes', clustersOf: ownerOf },
  ]
  const start = (reconcile: ControllerOptions['reconcile']): Controller =>
    new Controller({
      kube,
      clock,
      random: () => 0,
      log: pino({ enabled: false }),
      watches,
      reconcile,
      onEvent: (event) => events.push(event),
    })
  return { clock, server, kube, events, start }
}

function ownedSecret(name: string, owner: string): KubeObject {
  return secret({ namespace: 'shop', name }, {}, { labels: { managed: 'yes', owner } })
}

test('a resource is reconciled when it appears, changes and disappears, by its name alone', async () => {
  const { clock, server, start } = world()
  const told: ClusterName[] = []
  const controller = start(async (name) => {
    told.push(name)
    return {}
  })
  await controller.synced()
  must(await server.apply(cluster('orders', 1), 'test'))
  await clock.settle()
  must(await server.apply(cluster('orders', 3), 'test'))
  await clock.settle()
  must(await server.remove(refTo(cluster('orders', 3)), {}))
  await clock.settle()
  assert.deepEqual(
    told,
    Array.from({ length: 3 }, () => ({ namespace: 'shop', name: 'orders' })),
  )
  await controller.close()
  assert.equal(clock.pending, 0)
})

test('an owned object that is changed or deleted by somebody brings its cluster back', async () => {
  const { clock, server, start } = world()
  must(await server.apply(ownedSecret('orders-ca', 'orders'), 'test'))
  let reconciles = 0
  const controller = start(async (name) => {
    assert.equal(name.name, 'orders')
    reconciles += 1
    return {}
  })
  await clock.settle()
  assert.equal(reconciles, 1)
  must(await server.remove(refTo(ownedSecret('orders-ca', 'orders')), {}))
  await clock.settle()
  assert.equal(reconciles, 2)
  await controller.close()
})

test('an object that moves to another owner concerns both', async () => {
  const { clock, server, start } = world()
  must(await server.apply(ownedSecret('shared', 'orders'), 'test'))
  const told: string[] = []
  const controller = start(async ({ name }) => {
    told.push(name)
    return {}
  })
  await clock.settle()
  must(await server.apply(ownedSecret('shared', 'billing'), 'test'))
  await clock.settle()
  assert.deepEqual(told.sort(), ['billing', 'orders', 'orders'])
  await controller.close()
})

test('a burst of events while a reconcile runs is one more reconcile', async () => {
  const { clock, server, start } = world()
  let reconciles = 0
  const runs = new EventEmitter()
  const controller = start(async () => {
    reconciles += 1
    if (reconciles === 1) await once(runs, 'finish')
    return {}
  })
  await controller.synced()
  for (let replicas = 1; replicas <= 9; replicas += 2) must(await server.apply(cluster('orders', replicas), 'test'))
  await clock.settle()
  assert.equal(reconciles, 1)
  runs.emit('finish')
  await clock.settle()
  assert.equal(reconciles, 2)
  await controller.close()
})

test('requeueAfterMs brings a cluster back without an event', async () => {
  const { clock, server, start } = world()
  must(await server.apply(cluster('orders', 1), 'test'))
  let reconciles = 0
  const controller = start(async () => {
    reconciles += 1
    return { requeueAfterMs: 10_000 }
  })
  await clock.advance(35_000)
  assert.equal(reconciles, 4)
  await controller.close()
})

test('a reconcile that throws backs off alone; other clusters go on', async () => {
  const { clock, server, events, start } = world()
  must(await server.apply(cluster('poison', 1), 'test'))
  must(await server.apply(cluster('orders', 1), 'test'))
  let good = 0
  const controller = start(async ({ name }) => {
    if (name === 'poison') throw new Error('a bug')
    good += 1
    return { requeueAfterMs: 1_000 }
  })
  await clock.advance(10_000)
  assert.equal(good, 11)
  const failures = events.filter((event) => event.kind === 'reconciled' && event.outcome === 'failed').length
  assert.ok(failures > 5 && failures < 20, `${failures}`)
  await controller.close()
})

test('watches that break are told to the metrics, and no event is lost', async () => {
  const { clock, server, events, start } = world()
  let reconciles = 0
  const controller = start(async () => {
    reconciles += 1
    return {}
  })
  await controller.synced()
  server.endWatches({ ok: false, problem: { code: 'unreachable', message: 'restarting' } })
  await clock.settle()
  must(await server.apply(cluster('orders', 1), 'test'))
  server.compact()
  await clock.advance(30_000)
  assert.equal(reconciles, 1)
  const restarts = events.flatMap((event) => (event.kind === 'watch_restarted' ? [`${event.watched} ${event.problem}`] : []))
  assert.deepEqual([...new Set(restarts)].sort(), [
    'Secret gone',
    'Secret unreachable',
    'SecureSqlCluster gone',
    'SecureSqlCluster unreachable',
  ])
  await controller.close()
})
