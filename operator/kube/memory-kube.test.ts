import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kubeContract } from './kube-contract.ts'
import { must, refused, secret, secretKind } from './kube-contract-objects.ts'
import type { WatchEvent } from './kube.ts'
import { MemoryKube } from './memory-kube.ts'
import type { MemoryKubeOptions } from './memory-kube.ts'

function newKube(options: Partial<MemoryKubeOptions> = {}): MemoryKube {
  let made = 0
  const newUid = (): string => `uid-${(made += 1)}`
  return new MemoryKube({ now: () => new Date('2026-01-02T03:04:05.678Z'), newUid, ...options })
}

function ignore(): void {}

/** The twin does everything within a few turns of the loop; a hundred are plenty and no time passes. */
async function eventually(check: () => Promise<void>): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) {
    try {
      return await check()
    } catch {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await check()
}

kubeContract('in-memory API server', async () => ({ kube: newKube(), namespace: 'shop', eventually }))

test('creationTimestamp is the clock of the twin in whole seconds', async () => {
  const created = must(await newKube().create(secret({ namespace: 'shop', name: 'a' }, {})))
  assert.equal(created.metadata.creationTimestamp, '2026-01-02T03:04:05Z')
})

test('what the twin gives out cannot be changed in place', async () => {
  const created = must(await newKube().create(secret({ namespace: 'shop', name: 'a' }, { word: 'one' })))
  assert.throws(() => Object.assign(created.metadata, { name: 'b' }), TypeError)
  assert.throws(() => Object.assign(created['data'] as object, { word: 'two' }), TypeError)
})

test('a watch from before the window of the history is gone, one from within it is not', async () => {
  const kube = newKube({ historyMax: 2 })
  const { resourceVersion } = must(await kube.list(secretKind, {}))
  const versions: string[] = []
  for (const name of ['a', 'b', 'c', 'd'])
    versions.push(must(await kube.create(secret({ namespace: 'shop', name }, {}))).metadata.resourceVersion ?? '')
  refused(await kube.watch(secretKind, { resourceVersion, onEvent: ignore, signal: AbortSignal.timeout(1) }), 'gone')
  refused(await kube.watch(secretKind, { resourceVersion: versions[0] ?? '', onEvent: ignore, signal: AbortSignal.timeout(1) }), 'gone')
  must(await kube.watch(secretKind, { resourceVersion: versions[1] ?? '', onEvent: ignore, signal: AbortSignal.timeout(1) }))
})

test('a bookmark carries the newest version to a watch that sees nothing', async () => {
  const kube = newKube()
  const stopping = new AbortController()
  const seen: WatchEvent[] = []
  const { resourceVersion } = must(await kube.list(secretKind, {}))
  const ended = kube.watch(secretKind, {
    namespace: 'quiet',
    resourceVersion,
    onEvent: (event) => seen.push(event),
    signal: stopping.signal,
  })
  const created = must(await kube.create(secret({ namespace: 'loud', name: 'a' }, {})))
  kube.sendBookmarks()
  await eventually(async () => assert.deepEqual(seen, [{ type: 'BOOKMARK', resourceVersion: created.metadata.resourceVersion }]))
  stopping.abort()
  must(await ended)
})

test('an object whose owner never existed is garbage too', async () => {
  const kube = newKube()
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Secret', name: 'x', uid: 'never' }]
  must(await kube.create(secret({ namespace: 'shop', name: 'a' }, {}, { ownerReferences })))
  assert.deepEqual(must(await kube.list(secretKind, {})).items, [])
})

test('a schema given to the twin refuses what it does not admit, and nothing is stored', async () => {
  const kube = newKube({ admit: () => ({ ok: false, problem: { code: 'invalid', message: 'spec.replicas: must be odd' } }) })
  refused(await kube.apply(secret({ namespace: 'shop', name: 'a' }, {}), 'contract'), 'invalid')
  assert.deepEqual(must(await kube.list(secretKind, {})).items, [])
})
