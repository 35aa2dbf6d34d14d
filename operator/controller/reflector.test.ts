import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { ok } from '../../runtime/result.ts'
import { must, refTo, secret, secretKind } from '../kube/kube-contract-objects.ts'
import { MemoryKube } from '../kube/memory-kube.ts'
import { FaultyKube } from './faulty-kube.ts'
import { ManualClock } from './manual-clock.ts'
import { Reflector, relistMs } from './reflector.ts'
import type { ObjectChange } from './reflector.ts'

interface World {
  readonly clock: ManualClock
  readonly server: MemoryKube
  readonly kube: FaultyKube
  /** `kind name word`, in order. */
  readonly seen: string[]
  readonly start: () => Reflector
  readonly write: (name: string, word: string) => Promise<void>
  readonly remove: (name: string) => Promise<void>
}

function world(historyMax = 1_000): World {
  const clock = new ManualClock()
  let made = 0
  const server = new MemoryKube({ now: () => new Date(clock.wallMs()), newUid: () => `uid-${(made += 1)}`, historyMax })
  const kube = new FaultyKube(server)
  const seen: string[] = []
  const onChange = ({ kind, object }: ObjectChange): void => {
    const word = Buffer.from((object['data'] as { word?: string }).word ?? '', 'base64').toString('utf8')
    seen.push(`${kind} ${object.metadata.name} ${word}`)
  }
  const start = (): Reflector =>
    new Reflector({
      kube,
      kind: secretKind,
      select: { namespace: 'shop' },
      clock,
      random: () => 0,
      log: pino({ enabled: false }),
      onChange,
    })
  const write = async (name: string, word: string): Promise<void> =>
    void must(await server.apply(secret({ namespace: 'shop', name }, { word }), 'test'))
  const remove = async (name: string): Promise<void> => must(await server.remove(refTo(secret({ namespace: 'shop', name }, {})), {}))
  return { clock, server, kube, seen, start, write, remove }
}

test('what is there is told first, then every change in order', async () => {
  const { clock, seen, start, write, remove } = world()
  await write('a', 'one')
  const reflector = start()
  await reflector.synced
  await write('a', 'two')
  await write('b', 'one')
  await remove('a')
  await clock.settle()
  assert.deepEqual(seen, ['added a one', 'changed a two', 'added b one', 'deleted a two'])
  assert.deepEqual(
    reflector.all().map((object) => object.metadata.name),
    ['b'],
  )
  assert.equal(reflector.get('shop', 'a'), undefined)
  await reflector.close()
  assert.equal(clock.pending, 0)
})

test('a list that fails is tried again with back-off until it comes', async () => {
  const { clock, kube, seen, start, write } = world()
  await write('a', 'one')
  kube.failNext('list', 'unreachable', 3)
  const reflector = start()
  await clock.advance(250 + 500)
  assert.deepEqual(seen, [])
  await clock.advance(1_000)
  assert.deepEqual(seen, ['added a one'])
  await reflector.close()
})

test('a watch that breaks is resumed from where it was, without a list and without a repeated event', async () => {
  const { clock, kube, server, seen, start, write } = world()
  const reflector = start()
  await reflector.synced
  await write('a', 'one')
  await clock.settle()
  server.endWatches({ ok: false, problem: { code: 'unreachable', message: 'connection reset' } })
  await clock.settle()
  await write('a', 'two')
  await write('b', 'one')
  await clock.advance(250)
  assert.deepEqual(seen, ['added a one', 'changed a two', 'added b one'])
  assert.equal(kube.calls.filter((call) => call === 'list').length, 1)
  await reflector.close()
})

test('after gone it lists again, and tells also what was deleted meanwhile', async () => {
  const { clock, kube, server, seen, start, write, remove } = world()
  await write('kept', 'one')
  await write('lost', 'one')
  const reflector = start()
  await reflector.synced
  await clock.settle()
  server.endWatches({ ok: false, problem: { code: 'unreachable', message: 'connection reset' } })
  await clock.settle()
  await remove('lost')
  await write('kept', 'two')
  await write('new', 'one')
  server.compact()
  await clock.advance(10_000)
  assert.deepEqual(seen, ['added kept one', 'added lost one', 'deleted lost one', 'changed kept two', 'added new one'])
  assert.equal(kube.calls.filter((call) => call === 'list').length, 2)
  await reflector.close()
})

test('an object that was deleted and made anew while nobody looked is told as both', async () => {
  const { clock, server, seen, start, write, remove } = world()
  await write('a', 'one')
  const reflector = start()
  await reflector.synced
  await clock.settle()
  server.endWatches({ ok: false, problem: { code: 'gone', message: 'too old' } })
  await clock.settle()
  await remove('a')
  await write('a', 'two')
  await clock.advance(10_000)
  assert.deepEqual(seen, ['added a one', 'deleted a one', 'added a two'])
  await reflector.close()
})

test('bookmarks carry a quiet watch over a compaction: no list is needed', async () => {
  const { clock, kube, server, seen, start } = world()
  const reflector = start()
  await reflector.synced
  for (let time = 0; time < 5; time += 1)
    must(await server.apply(secret({ namespace: 'elsewhere', name: 'a' }, { word: `${time}` }), 'test'))
  server.sendBookmarks()
  await clock.settle()
  server.compact()
  server.endWatches(ok(undefined))
  await clock.advance(5_000)
  assert.equal(kube.calls.filter((call) => call === 'list').length, 1)
  assert.deepEqual(seen, [])
  await reflector.close()
})

test('a full list comes periodically, and finds what the watch never told', async () => {
  const { clock, kube, seen, start, write } = world()
  kube.hang('watch')
  const reflector = start()
  await reflector.synced
  await write('a', 'one')
  await clock.advance(relistMs / 2)
  assert.deepEqual(seen, [])
  await clock.advance(relistMs / 2)
  assert.deepEqual(seen, ['added a one'])
  await reflector.close()
})

test('a server that ends every watch at once is not asked without pause', async () => {
  const { clock, kube, start } = world()
  kube.failNext('watch', 'unreachable', 1_000)
  const reflector = start()
  await clock.advance(60_000)
  const watches = kube.calls.filter((call) => call === 'watch').length
  assert.ok(watches > 5 && watches < 15, `${watches} watches in a minute`)
  await reflector.close()
})

test('close ends a running watch, and nothing is told afterwards', async () => {
  const { clock, seen, start, write } = world()
  const reflector = start()
  await reflector.synced
  await reflector.close()
  await write('a', 'one')
  await clock.advance(relistMs * 2)
  assert.deepEqual(seen, [])
  assert.equal(clock.pending, 0)
})
