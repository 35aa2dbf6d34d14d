import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import type { NodeId } from '../raft/membership.ts'
import type { LoopEvent } from './loop-event.ts'
import { ManualClock } from './manual-clock.ts'
import { snapshotChunkBytes, SnapshotFetch, wantedForMs } from './snapshot-fetch.ts'
import type { SnapshotSource } from './snapshot-source.ts'
import type { SnapshotManifest, SnapshotStore } from './snapshot-store.ts'

const leader = 'n1' as NodeId
const manifest: SnapshotManifest = {
  id: 'copy',
  index: 50,
  term: 2,
  membership: { members: [] },
  bytes: 2 * snapshotChunkBytes + 10,
  hash: '',
}

/** A fetch whose source and stage the test plays. */
function play(chunk: SnapshotSource['chunk'], manifests: SnapshotSource['manifest'] = () => Promise.resolve(ok(manifest))) {
  const clock = new ManualClock()
  const events: LoopEvent[] = []
  const written: number[] = []
  let finishes = 0
  let staged = 0
  const stage = {
    manifest,
    get receivedBytes() {
      return written.reduce((sum, length) => sum + length, 0)
    },
    write: (bytes: Uint8Array) => Promise.resolve(void written.push(bytes.length)),
    finish: () => {
      finishes += 1
      return Promise.resolve(ok({ index: 50, term: 2, membership: { members: [] } }))
    },
    discard: () => Promise.resolve(),
  }
  const fetch = new SnapshotFetch({
    source: { manifest: manifests, chunk },
    snapshots: { stage: () => Promise.resolve(stage) } as unknown as SnapshotStore,
    clock,
    onStaged: () => (staged += 1),
    report: (event) => events.push(event),
  })
  const run = async (ms: number): Promise<void> => {
    for (let passed = 0; passed <= ms; passed += 50) {
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
      clock.advance(50)
    }
  }
  const problems = () => events.flatMap((event) => (event.kind === 'snapshot-fetch-failed' ? [event.problem] : []))
  return { fetch, clock, events, written, run, problems, finishes: () => finishes, staged: () => staged }
}

const part = (length: number) => Promise.resolve(ok(new Uint8Array(length)))

test('it is asked for in chunks, one after the other, and lies ready until it is taken', async () => {
  const asked: (readonly [number, number])[] = []
  const { fetch, run, written, staged } = play((_from, { offset, length }) => {
    asked.push([offset, length])
    return part(length)
  })
  fetch.want({ from: leader, indexMin: 40 })
  fetch.want({ from: leader, indexMin: 41 })
  await run(100)
  assert.deepEqual(asked, [
    [0, snapshotChunkBytes],
    [snapshotChunkBytes, snapshotChunkBytes],
    [2 * snapshotChunkBytes, 10],
  ])
  assert.deepEqual(written, [snapshotChunkBytes, snapshotChunkBytes, 10])
  assert.equal(staged(), 1)
  assert.equal(fetch.staged?.index, 50)
  fetch.want({ from: leader, indexMin: 41 })
  await run(100)
  assert.equal(asked.length, 3, 'what lies ready is not fetched again')
  fetch.taken()
  assert.equal(fetch.staged, undefined)
})

test('after each chunk it rests as long as that one took, and a second at most', async () => {
  const askedAtMs: number[] = []
  const chunkMs = [300, 5_000, 50]
  const { fetch, run, clock, staged } = play((_from, { length }) => {
    askedAtMs.push(clock.monotonicMs())
    return new Promise((resolve) => clock.after(chunkMs[askedAtMs.length - 1] ?? 0, () => resolve(ok(new Uint8Array(length)))))
  })
  fetch.want({ from: leader, indexMin: 40 })
  await run(7_000)
  const [first = 0, second, third] = askedAtMs
  assert.deepEqual([second, third], [first + 2 * 300, first + 2 * 300 + 5_000 + 1_000])
  assert.equal(staged(), 1)
})

test('closed while it rests, it asks for nothing more', async () => {
  let asked = 0
  const { fetch, run, clock } = play((_from, { length }) => {
    asked += 1
    return new Promise((resolve) => clock.after(400, () => resolve(ok(new Uint8Array(length)))))
  })
  fetch.want({ from: leader, indexMin: 40 })
  await run(500)
  fetch.close()
  await run(1_000)
  assert.equal(asked, 1)
})

test('chunks that are shorter than asked are taken, empty and longer ones are not', async () => {
  let sends: (length: number) => number = (length) => Math.min(length, 700_000)
  const { fetch, run, problems, written, staged } = play((_from, { length }) => part(sends(length)))
  sends = () => 0
  fetch.want({ from: leader, indexMin: 40 })
  await run(50)
  assert.deepEqual([problems()[0], written], ['snapshot_gone', []])
  sends = () => manifest.bytes + 1
  await run(200)
  assert.deepEqual([problems().at(-1), written], ['snapshot_gone', []])
  sends = (length) => Math.min(length, 700_000)
  await run(2_000)
  assert.equal(staged(), 1)
  assert.equal(
    written.reduce((sum, length) => sum + length, 0),
    manifest.bytes,
  )
})

test('failures are repeated ever more seldom, at least every five seconds', async () => {
  const asked: number[] = []
  const world = play(
    () => part(1),
    () => {
      asked.push(world.clock.monotonicMs())
      return Promise.resolve(fail('snapshot_unavailable'))
    },
  )
  for (let second = 0; second < 40; second += 1) {
    world.fetch.want({ from: leader, indexMin: 40 })
    await world.run(950)
  }
  const pauses = asked.slice(1).map((atMs, n) => atMs - asked[n]!)
  assert(pauses[0]! <= 150)
  for (const [n, pause] of pauses.entries())
    assert(pause <= 5_100 && pause >= (pauses[n - 1] ?? 0) - 100, `pauses of ${pauses.join(' ')} ms`)
})

test('what is no longer wanted is given up, and begun again when it is', async () => {
  let asked = 0
  const { fetch, run, clock } = play(
    () => part(1),
    () => {
      asked += 1
      return Promise.resolve(fail('unreachable'))
    },
  )
  fetch.want({ from: leader, indexMin: 40 })
  await run(wantedForMs + 10_000)
  const askedBefore = asked
  await run(20_000)
  assert.equal(asked, askedBefore)
  assert(clock.monotonicMs() > wantedForMs)
  fetch.want({ from: leader, indexMin: 40 })
  await run(50)
  assert(asked > askedBefore)
})

test('progress is reported every so often, not with every chunk', async () => {
  const size = 10_000
  const world = play(async () => {
    await new Promise<void>((resolve) => world.clock.after(100, resolve))
    return ok(new Uint8Array(size))
  })
  world.fetch.want({ from: leader, indexMin: 40 })
  await world.run(12_000)
  const progress = world.events.flatMap((event) => (event.kind === 'snapshot-fetch-progress' ? [event.receivedBytes] : []))
  assert.equal(progress.length, 2)
  assert(progress[0]! >= 20 * size && progress[1]! >= 45 * size)
})

test('a manifest that is older than what is wanted by now is not followed to its end', async () => {
  const { fetch, run, problems, finishes } = play((_from, { length }) => part(length))
  fetch.want({ from: leader, indexMin: 60 })
  await run(50)
  assert.equal(problems()[0], 'snapshot_outdated')
  assert.equal(finishes(), 0)
})

test('closed, it neither asks nor tells', async () => {
  let asked = 0
  const { fetch, run, staged } = play((_from, { length }) => {
    asked += 1
    return part(length)
  })
  fetch.want({ from: leader, indexMin: 40 })
  fetch.close()
  await run(1_000)
  fetch.want({ from: leader, indexMin: 40 })
  await run(1_000)
  assert.deepEqual([asked <= 2, staged(), fetch.staged], [true, 0, undefined])
})
