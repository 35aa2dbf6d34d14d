import assert from 'node:assert/strict'
import type { ContractCase, KubeSetting } from './kube-contract.ts'
import { must, refTo, refused, secret, secretKind } from './kube-contract-objects.ts'
import type { KubeResult, WatchEvent } from './kube.ts'

interface Watched {
  readonly seen: string[]
  readonly stop: () => Promise<KubeResult<void>>
}

/** Watches the Secrets of one label from now on; `seen` has `TYPE name` in order, without bookmarks. */
async function watchLabel({ kube, namespace }: KubeSetting, label: string): Promise<Watched> {
  const options = { namespace, labelSelector: `contract/case=${label}` }
  const { resourceVersion } = must(await kube.list(secretKind, options))
  const seen: string[] = []
  const stopping = new AbortController()
  const onEvent = (event: WatchEvent): void => {
    if (event.type !== 'BOOKMARK') seen.push(`${event.type} ${event.object.metadata.name}`)
  }
  const ended = kube.watch(secretKind, { ...options, resourceVersion, onEvent, signal: stopping.signal })
  const stop = (): Promise<KubeResult<void>> => {
    stopping.abort()
    return ended
  }
  return { seen, stop }
}

export const contractOfWatch: readonly ContractCase[] = [
  {
    title: 'a watch from a list sees what is added, modified and deleted, in order',
    async run(setting) {
      const { kube, namespace, eventually } = setting
      const labels = { 'contract/case': 'order' }
      const watched = await watchLabel(setting, 'order')
      must(await kube.create(secret({ namespace, name: 'seen' }, { a: '1' }, { labels })))
      must(await kube.create(secret({ namespace, name: 'unseen' }, {})))
      must(await kube.apply(secret({ namespace, name: 'seen' }, { a: '2' }, { labels }), 'contract'))
      must(await kube.remove(refTo(secret({ namespace, name: 'seen' }, {})), {}))
      await eventually(async () => assert.deepEqual(watched.seen, ['ADDED seen', 'MODIFIED seen', 'DELETED seen']))
      must(await watched.stop())
    },
  },
  {
    title: 'a watch sees what happened between its list and its start',
    async run(setting) {
      const { kube, namespace, eventually } = setting
      const options = { namespace, labelSelector: 'contract/case=between' }
      const { resourceVersion } = must(await kube.list(secretKind, options))
      must(await kube.create(secret({ namespace, name: 'between' }, {}, { labels: { 'contract/case': 'between' } })))
      const seen: WatchEvent[] = []
      const stopping = new AbortController()
      const onEvent = (event: WatchEvent): void => void seen.push(event)
      const ended = kube.watch(secretKind, { ...options, resourceVersion, onEvent, signal: stopping.signal })
      await eventually(async () => assert.equal(seen.filter((event) => event.type === 'ADDED').length, 1))
      stopping.abort()
      must(await ended)
    },
  },
  {
    title: 'an object that ceases to match a watch is deleted for it, and one that begins to match is added',
    async run(setting) {
      const { kube, namespace, eventually } = setting
      const place = { namespace, name: 'crossing' }
      const watched = await watchLabel(setting, 'crossing')
      must(await kube.apply(secret(place, {}), 'contract'))
      must(await kube.apply(secret(place, {}, { labels: { 'contract/case': 'crossing' } }), 'contract'))
      must(await kube.apply(secret(place, {}), 'contract'))
      await eventually(async () => assert.deepEqual(watched.seen, ['ADDED crossing', 'DELETED crossing']))
      must(await watched.stop())
    },
  },
  {
    title: 'a watch from a resource version that the server has forgotten is gone',
    async run({ kube, namespace }) {
      const options = { namespace, resourceVersion: '1', onEvent: (): void => {}, signal: AbortSignal.timeout(30_000) }
      refused(await kube.watch(secretKind, options), 'gone')
    },
  },
  {
    title: 'a watch that is aborted ends without a problem, and nothing arrives afterwards',
    async run(setting) {
      const { kube, namespace } = setting
      const watched = await watchLabel(setting, 'aborted')
      must(await watched.stop())
      must(await kube.create(secret({ namespace, name: 'too-late' }, {}, { labels: { 'contract/case': 'aborted' } })))
      assert.deepEqual(watched.seen, [])
    },
  },
]
