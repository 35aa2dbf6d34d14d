import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Entry } from './entry.ts'
import { RaftLog } from './log.ts'
import { VirtualDisk } from './virtual-disk.ts'
import { virtualEntry, virtualLog } from './virtual-node.ts'

/** A log on a disk that syncs when told to. */
class LogRig {
  readonly disk = new VirtualDisk()
  readonly log = new RaftLog(this.disk)
  #sequence = 0

  write(): number {
    this.#sequence += 1
    const { entries, reset } = this.log.takeUnwritten(this.#sequence)
    this.disk.write({ sequence: this.#sequence, hardState: undefined, entries, ...(reset === undefined ? {} : { reset }) })
    return this.#sequence
  }

  sync(sequence: number): void {
    this.disk.sync(sequence)
    this.log.durable(sequence)
  }
}

test('entries that are being written are part of the log but not durable', () => {
  const { log, disk } = new LogRig()
  log.append(virtualLog([1, 1]))
  assert.deepEqual([log.lastIndex, log.durableIndex, disk.lastIndex()], [2, 0, 0])
  assert.equal(log.termAt(2), 1)
})

test('an acknowledgement of a write vouches only for what no later write has replaced, even when the same entries come back', () => {
  const rig = new LogRig()
  const { log } = rig
  log.append(virtualLog([1, 1, 1]))
  const first = rig.write()
  log.append([virtualEntry(2, 2)])
  const second = rig.write()
  log.append([virtualEntry(2, 3), virtualEntry(3, 3)])
  const third = rig.write()
  rig.sync(first)
  assert.equal(log.durableIndex, 1)
  rig.sync(second)
  assert.equal(log.durableIndex, 1)
  rig.sync(third)
  assert.equal(log.durableIndex, 3)
})

test('one acknowledgement may cover several writes', () => {
  const rig = new LogRig()
  rig.log.append(virtualLog([1]))
  rig.write()
  rig.log.append([virtualEntry(2, 1)])
  const second = rig.write()
  assert.equal(rig.log.sequenceCovering(1), 1)
  assert.equal(rig.log.sequenceCovering(2), 2)
  rig.sync(second)
  assert.deepEqual([rig.log.durableIndex, rig.log.sequenceCovering(2), rig.log.tailBytes], [2, undefined, 0])
})

test('a gap, a descending term or an append before the base is a bug', () => {
  const { log } = new LogRig()
  log.append(virtualLog([1, 2]))
  assert.throws(() => log.append([virtualEntry(4, 2)]))
  assert.throws(() => log.append([virtualEntry(3, 1)]))
  assert.throws(() => log.append([virtualEntry(0, 1)]))
})

test('a read is cut at its bytes on both sides of the border of durability', () => {
  const rig = new LogRig()
  rig.log.append(virtualLog([1, 1, 1, 1]))
  rig.sync(rig.write())
  rig.log.append(virtualLog([1, 1, 1, 1], 5))
  const size = virtualEntry(1, 1).bytes.length
  for (let from = 1; from <= 8; from += 1) {
    for (let count = 0; count <= 8; count += 1) {
      const read = rig.log.read({ from, to: 8, bytesMax: size * count })
      assert.deepEqual(
        read.map((entry) => entry.index),
        Array.from({ length: Math.min(Math.max(count, 1), 9 - from) }, (_, n) => from + n),
      )
    }
  }
})

test('the last index of a term at most t is found as by looking at every entry', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 12 }), fc.nat({ max: 14 }), fc.nat({ max: 14 }), (rises, term, index) => {
      let current = 1
      const terms = rises.map((rise) => (current += rise))
      const { log } = new LogRig()
      log.append(virtualLog(terms))
      const naive = terms.findLastIndex((one, position) => one <= term && position + 1 <= index) + 1
      assert.equal(log.lastIndexOfTermAtMost(term, index), naive)
    }),
  )
})

type Step =
  | { readonly kind: 'append'; readonly at: number; readonly count: number }
  | { readonly kind: 'write' }
  | { readonly kind: 'sync'; readonly skip: number }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('append' as const), at: fc.nat({ max: 6 }), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant('write' as const) }),
    fc.record({ kind: fc.constant('sync' as const), skip: fc.nat({ max: 2 }) }),
  ),
  { maxLength: 40 },
)

test('against a naive model: the log reads as the model, and calls durable only what every crash from now on would leave', () => {
  fc.assert(
    fc.property(steps, (list) => {
      const rig = new LogRig()
      let model: readonly Entry[] = []
      // What the disk holds after each write, by sequence; 0 is the empty disk.
      const snapshots: (readonly Entry[])[] = [[]]
      let synced = 0
      let term = 1
      for (const step of list) {
        if (step.kind === 'append') {
          term += 1
          const first = Math.max(1, model.length + 1 - step.at)
          const entries = Array.from({ length: step.count }, (_, n) => virtualEntry(first + n, term))
          rig.log.append(entries)
          model = [...model.slice(0, first - 1), ...entries]
        }
        if (step.kind === 'write') {
          rig.write()
          snapshots.push(model)
        }
        if (step.kind === 'sync' && synced < snapshots.length - 1) {
          synced = Math.max(synced + 1, snapshots.length - 1 - step.skip)
          rig.sync(synced)
        }
        assert.equal(rig.log.lastIndex, model.length)
        if (model.length > 0) assert.deepEqual(rig.log.read({ from: 1, to: model.length, bytesMax: Infinity }), model)
        const survivors = snapshots.slice(synced)
        const common = (snapshot: readonly Entry[]) => model.findIndex((entry, position) => snapshot[position] !== entry)
        const certain = Math.min(...survivors.map((snapshot) => (common(snapshot) === -1 ? model.length : common(snapshot))))
        assert(rig.log.durableIndex <= certain, `${rig.log.durableIndex} is called durable, ${certain} is`)
        if (synced === snapshots.length - 1 && snapshots.at(-1) === model) assert.equal(rig.log.durableIndex, model.length)
      }
    }),
    { numRuns: 500 },
  )
})

function committedSnapshot(rig: LogRig): void {
  rig.log.append(virtualLog([1, 1, 1, 1]))
  rig.sync(rig.write())
}

test('a log that begins anew holds nothing, and its base is what replaced it, before and after the store knows', () => {
  const rig = new LogRig()
  committedSnapshot(rig)
  rig.log.reset({ index: 7, term: 2 }, { durableBefore: 3 })
  assert.deepEqual([rig.log.base.index, rig.log.lastIndex, rig.log.lastTerm, rig.log.hasUnwritten], [7, 7, 2, true])
  rig.write()
  assert.deepEqual([rig.log.base.index, rig.log.lastIndex, rig.log.termAt(7), rig.log.hasUnwritten], [7, 7, 2, false])
  rig.log.append(virtualLog([2], 8))
  assert.deepEqual([rig.log.lastIndex, rig.log.matches(8, 2), rig.log.matches(4, 1)], [8, true, false])
})

test('until the new beginning is on disk, only what was applied of the old log counts as being there', () => {
  const rig = new LogRig()
  committedSnapshot(rig)
  rig.log.reset({ index: 7, term: 2 }, { durableBefore: 3 })
  const sequence = rig.write()
  assert.deepEqual([rig.log.durableIndex, rig.log.sequenceCovering(7), rig.log.sequenceCovering(3)], [3, sequence, undefined])
  rig.sync(sequence)
  assert.deepEqual([rig.log.durableIndex, rig.log.sequenceCovering(7)], [7, undefined])
})

test('a write that was under way when the log began anew vouches for nothing of the new one, though it went as far', () => {
  const rig = new LogRig()
  rig.log.append(virtualLog([1, 1, 1, 1]))
  const old = rig.write()
  rig.log.reset({ index: 2, term: 2 }, { durableBefore: 0 })
  rig.log.append(virtualLog([2, 2], 3))
  const fresh = rig.write()
  rig.sync(old)
  assert.deepEqual([rig.log.durableIndex, rig.log.sequenceCovering(4)], [0, fresh])
  rig.sync(fresh)
  assert.equal(rig.log.durableIndex, 4)
})

test('a log that begins anew again, before the first beginning is on disk, counts on neither', () => {
  const rig = new LogRig()
  rig.log.reset({ index: 5, term: 1 }, { durableBefore: 0 })
  const first = rig.write()
  rig.log.reset({ index: 9, term: 2 }, { durableBefore: 5 })
  assert.equal(rig.log.durableIndex, 0)
  const second = rig.write()
  rig.sync(first)
  assert.equal(rig.log.durableIndex, 0)
  rig.sync(second)
  assert.equal(rig.log.durableIndex, 9)
})

test('the base follows the store, at any time', () => {
  const rig = new LogRig()
  committedSnapshot(rig)
  rig.disk.compact(3)
  assert.deepEqual([rig.log.base.index, rig.log.termAt(3), rig.log.lastIndexOfTermAtMost(0, 4)], [3, 1, 3])
  assert.throws(() => rig.log.termAt(2), /no entry 2/)
  assert.throws(() => rig.log.read({ from: 3, to: 4, bytesMax: 100 }), /outside of the log/)
  assert.equal(rig.log.matches(2, 1), false)
})
