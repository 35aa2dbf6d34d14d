import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry } from '../raft/entry.ts'
import { seededRandom } from '../raft/seeded-random.ts'
import { EntryIndex } from './entry-index.ts'
import { RecentEntries } from './recent-entries.ts'

test('pushed, truncated, compacted and reset in any order, it knows what a plain list knows', () => {
  const random = seededRandom(1)
  const index = new EntryIndex({ index: 0, term: 0 })
  let base = { index: 0, term: 0 }
  let list: { readonly term: number; readonly length: number; readonly offset: number }[] = []
  for (let step = 0; step < 20_000; step += 1) {
    const what = random(100)
    if (what < 90) {
      const one = { term: step, length: random(1000), offset: random(1 << 20) }
      index.push(one.term, one.length)
      index.locate(index.last, 1 + random(3), one.offset)
      list.push(one)
    } else if (what < 94) {
      const kept = Math.max(0, list.length - random(20))
      list = list.slice(0, kept)
      index.truncate(base.index + kept + 1)
    } else if (what < 99 && list.length > 0) {
      const given = 1 + random(Math.min(list.length, 60))
      base = { index: base.index + given, term: list[given - 1]?.term ?? 0 }
      list = list.slice(given)
      index.compact(base)
    } else if (random(100) === 0) {
      base = { index: base.index + random(10), term: step }
      list = []
      index.reset(base)
    }
    assert.equal(index.last, base.index + list.length)
    assert.equal(index.termAt(base.index), base.term)
    const at = random(list.length + 1)
    if (at === list.length) continue
    const there = base.index + at + 1
    assert.deepEqual({ term: index.termAt(there), length: index.lengthAt(there), offset: index.placeAt(there)?.offset }, { ...list[at] })
  }
})

test('its memory follows the number of entries that are kept, up and down', () => {
  const index = new EntryIndex({ index: 0, term: 0 })
  for (let at = 1; at <= 100_000; at += 1) index.push(1, 100)
  const grown = index.capacity
  assert(grown < 300_000)
  index.compact({ index: 99_990, term: 1 })
  assert(index.capacity <= 1024)
  for (let at = 0; at < 1_000_000; at += 1) {
    index.push(1, 100)
    if (at % 10 === 0) index.compact({ index: index.last - 10, term: 1 })
  }
  assert(index.capacity <= 4096, `${index.capacity}`)
})

test('what is given up is not asked for, and a base outside of the log is refused', () => {
  const index = new EntryIndex({ index: 0, term: 0 })
  for (let at = 1; at <= 10; at += 1) index.push(1, 100)
  index.compact({ index: 5, term: 1 })
  assert.throws(() => index.termAt(4))
  assert.throws(() => index.termAt(11))
  assert.throws(() => index.compact({ index: 4, term: 1 }))
  assert.throws(() => index.compact({ index: 11, term: 1 }))
  assert.throws(() => index.truncate(5))
})

test('recent entries forget from the front, and all, and take what comes next', () => {
  const recent = new RecentEntries(1, { recentBytesMax: 1 << 20, recentEntriesMax: 1 << 20 })
  const entry = (index: number) => makeEntry({ index, term: 1, kind: 'command', payload: new Uint8Array(10) })
  for (let index = 1; index <= 5000; index += 1) {
    recent.push(entry(index))
    recent.forgetTo(index - 3)
    assert.equal(recent.at(index - 3), undefined)
    assert.equal(recent.at(index)?.index, index)
  }
  assert.deepEqual(
    [4997, 4998, 4999, 5000, 5001].map((index) => recent.at(index)?.index),
    [undefined, 4998, 4999, 5000, undefined],
  )
  recent.clear()
  assert.equal(recent.at(5000), undefined)
  recent.push(entry(70))
  assert.equal(recent.at(70)?.index, 70)
  recent.forgetTo(90)
  assert.equal(recent.at(70), undefined)
  recent.push(entry(71))
  assert.equal(recent.at(71)?.index, 71)
})

test('recent entries are bounded in bytes and in number, and only those leave that may', () => {
  const entry = (index: number) => makeEntry({ index, term: 1, kind: 'command', payload: new Uint8Array(100) })
  const kept = (limits: { readonly recentBytesMax: number; readonly recentEntriesMax: number }, mayLeave: (index: number) => boolean) => {
    const recent = new RecentEntries(1, limits)
    for (let index = 1; index <= 20; index += 1) recent.push(entry(index))
    recent.evict(mayLeave)
    return Array.from({ length: 20 }, (_, at) => at + 1).filter((index) => recent.at(index) !== undefined).length
  }
  assert.equal(
    kept({ recentBytesMax: 5 * 128, recentEntriesMax: 100 }, () => true),
    5,
  )
  assert.equal(
    kept({ recentBytesMax: 1 << 20, recentEntriesMax: 7 }, () => true),
    7,
  )
  assert.equal(
    kept({ recentBytesMax: 1 << 20, recentEntriesMax: 7 }, (index) => index <= 3),
    17,
  )
})
