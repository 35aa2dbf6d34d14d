import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry, type Entry } from '../raft/entry.ts'
import type { HardState, LogBase } from '../raft/raft-port.ts'
import { createLog, recoverLog, segmentsOn } from './log-recovery.ts'
import { MemoryDisk } from './memory-disk.ts'
import { PowerLost } from './power-lost.ts'
import { segmentName, type FrameKind } from './segment-format.ts'
import { SegmentWriter, bytesOf, lastOf } from './segment-writer.ts'

const logId = Buffer.alloc(16, 7)
const hardState: HardState = { term: 3, votedFor: undefined }
const entryBytes = 128

function entries(from: number, to: number, term: number): readonly Entry[] {
  return Array.from({ length: to - from + 1 }, (_, at) =>
    makeEntry({ index: from + at, term, kind: 'command', payload: new Uint8Array(entryBytes - 28) }),
  )
}

/** Four entries to a segment, one frame each. */
function writerOn(disk: MemoryDisk): SegmentWriter {
  const recovered = recoverLog(disk, logId)
  assert(recovered.ok, recovered.ok ? '' : recovered.problem.message)
  return new SegmentWriter(disk, { prepareBytes: 0, logId, end: recovered.value.end, segmentBytesMax: 4 * (entryBytes + 64) + 64 })
}

function write(writer: SegmentWriter, batch: readonly Entry[], more: { readonly kind?: FrameKind; readonly base?: LogBase } = {}): void {
  const frame = { kind: 'persist' as FrameKind, hardState, entryCount: batch.length, entries: batch.map(({ bytes }) => bytes), ...more }
  writer.write({ ...frame, indexMax: Math.max(0, ...batch.map(({ index }) => index)) })
}

function compact(writer: SegmentWriter, index: number, term: number): void {
  write(writer, [], { kind: 'compacted', base: { index, term } })
}

function begun(): { readonly disk: MemoryDisk; readonly writer: SegmentWriter } {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  return { disk, writer: writerOn(disk) }
}

/** `base/term: index/term of each entry`, or the problem. */
function found(disk: MemoryDisk): string {
  const recovered = recoverLog(disk, logId)
  if (!recovered.ok) return recovered.problem.code
  const { index } = recovered.value
  const terms = Array.from({ length: index.last - index.base.index }, (_, at) => index.termAt(index.base.index + 1 + at))
  return `${index.base.index}/${index.base.term}: ${terms.join(' ')}`
}

test('a segment leaves when everything in it is given up, and not before', () => {
  const { disk, writer } = begun()
  for (const one of entries(1, 12, 1)) write(writer, [one])
  const before = segmentsOn(disk)
  compact(writer, 2, 1)
  assert.deepEqual(segmentsOn(disk).slice(0, before.length), before)
  assert.equal(found(disk), '2/1: 1 1 1 1 1 1 1 1 1 1')
  compact(writer, 3, 1)
  assert(!segmentsOn(disk).includes(before[0]!))
  assert.equal(found(disk), '3/1: 1 1 1 1 1 1 1 1 1')
  compact(writer, 12, 1)
  assert.equal(segmentsOn(disk).length, 1)
  assert.equal(found(disk), '12/1: ')
})

test('a segment whose entries were replaced later stays until the base is beyond the highest index in it', () => {
  const { disk, writer } = begun()
  for (const one of entries(1, 4, 1)) write(writer, [one])
  for (const one of entries(2, 9, 2)) write(writer, [one])
  compact(writer, 3, 2)
  assert.equal(found(disk), '3/2: 2 2 2 2 2 2')
  const held = segmentsOn(disk)
  compact(writer, 4, 2)
  assert(segmentsOn(disk)[0]! > held[0]!)
  assert.equal(found(disk), '4/2: 2 2 2 2 2')
})

test('what is left may begin with entries that were replaced from further back', () => {
  const { disk, writer } = begun()
  for (const one of entries(1, 6, 1)) write(writer, [one])
  // Entries 5 and 6 stand in the second segment; what replaces them and entry 4 stands there and later.
  for (const one of entries(4, 9, 2)) write(writer, [one])
  compact(writer, 4, 2)
  assert.equal(found(disk), '4/2: 2 2 2 2 2')
})

test('the base must be an entry of the log, with its term', () => {
  for (const base of [
    { index: 2, term: 2 },
    { index: 9, term: 1 },
  ]) {
    const { disk, writer } = begun()
    write(writer, entries(1, 2, 1))
    write(writer, [], { kind: 'compacted', base })
    assert.equal(found(disk), 'log_corrupt')
  }
})

test('a removal that was interrupted anywhere is finished at open; the log is the same', () => {
  const written = (): { readonly disk: MemoryDisk; readonly writer: SegmentWriter } => {
    const { disk, writer } = begun()
    for (const one of entries(1, 20, 1)) write(writer, [one])
    return { disk, writer }
  }
  let wasWhole = false
  for (let calls = 1; !wasWhole; calls += 1) {
    for (let seed = 1; seed <= 20; seed += 1) {
      const { disk, writer } = written()
      disk.losePowerAfter(calls)
      try {
        compact(writer, 17, 1)
        wasWhole = true
      } catch (error) {
        assert(error instanceof PowerLost)
      }
      disk.powerFailure(seed)
      const after = found(disk)
      assert(after === '17/1: 1 1 1' || (!wasWhole && after === `0/0: ${'1 '.repeat(20).trim()}`), after)
      if (after.startsWith('17')) assert(segmentsOn(disk).length <= 3, 'nothing that was given up is left')
    }
  }
})

test('a segment that is needed and missing is corruption, wherever it stood, and nothing is removed then', () => {
  const { disk, writer } = begun()
  for (const one of entries(1, 20, 1)) write(writer, [one])
  compact(writer, 6, 1)
  const segments = segmentsOn(disk)
  for (const missing of segments.slice(0, -1)) {
    const holed = disk.copy()
    holed.remove(segmentName(missing))
    const before = segmentsOn(holed)
    assert.equal(found(holed), 'log_corrupt', `without ${missing}`)
    assert.deepEqual(segmentsOn(holed), before)
  }
})

test('a first segment with nothing but empty frames that is missing does not make an empty log', () => {
  const { disk, writer } = begun()
  for (const one of entries(1, 5, 1)) write(writer, [one])
  // Only frames without entries in the last segment.
  while (segmentsOn(disk).length < 4) write(writer, [])
  const holed = disk.copy()
  for (const segment of segmentsOn(disk).slice(0, -1)) holed.remove(segmentName(segment))
  assert.equal(found(holed), 'log_corrupt')
})

test('any byte wrong before the last frame of a compacted log is corruption', () => {
  const { disk, writer } = begun()
  for (const one of entries(1, 9, 1)) write(writer, [one])
  compact(writer, 4, 1)
  write(writer, entries(10, 10, 1))
  const last = lastOf(writer.end)
  for (const segment of segmentsOn(disk)) {
    const length = disk.read(segmentName(segment)).length
    const synced = segment === last.segment ? length - entryBytes - 64 : length
    for (let at = 0; at < synced; at += 1) {
      const rotten = disk.copy()
      rotten.flip(segmentName(segment), at)
      assert.equal(found(rotten), 'log_corrupt', `segment ${segment}, byte ${at}`)
    }
  }
})

test('a reset forgets what stands before it, on disk as well, and begins at any index', () => {
  for (const base of [
    { index: 40, term: 5 },
    { index: 3, term: 2 },
  ]) {
    const { disk, writer } = begun()
    for (const one of entries(1, 8, 1)) write(writer, [one])
    write(writer, entries(base.index + 1, base.index + 2, 6), { kind: 'reset', base })
    assert.equal(segmentsOn(disk).length, 1)
    assert.equal(disk.usedBytes(), 64 + 64 + 2 * entryBytes, 'nothing but the new frame takes room')
    assert.equal(found(disk), `${base.index}/${base.term}: 6 6`)
  }
})

test('a log whose first entries never were there is corruption', () => {
  const { disk, writer } = begun()
  write(writer, entries(5, 6, 1))
  assert.equal(found(disk), 'log_corrupt')
})

test('after a reset nothing at or below its base is taken', () => {
  const { disk, writer } = begun()
  write(writer, [], { kind: 'reset', base: { index: 40, term: 5 } })
  write(writer, entries(40, 41, 6))
  assert.equal(found(disk), 'log_corrupt')
})

test('a base that goes back without a reset is corruption', () => {
  const { disk, writer } = begun()
  write(writer, entries(1, 9, 1))
  compact(writer, 6, 1)
  compact(writer, 5, 1)
  assert.equal(found(disk), 'log_corrupt')
})

test('a log that is begun from what is left of another one has its base and its vote', () => {
  const disk = new MemoryDisk()
  createLog(disk, logId, { base: { index: 100, term: 9 }, hardState: { term: 11, votedFor: undefined } })
  for (let seed = 1; seed <= 10; seed += 1) disk.powerFailure(seed)
  const recovered = recoverLog(disk, logId)
  assert(recovered.ok)
  assert.deepEqual(recovered.value.end.hardState, { term: 11, votedFor: undefined })
  assert.equal(found(disk), '100/9: ')
})

test('a log without one whole frame is corruption, not an empty log: its first frame was durable before it was called a log', () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const whole = disk.read(segmentName(1))
  for (let length = 0; length < whole.length; length += 1) {
    const cut = new MemoryDisk()
    cut.put(segmentName(1), whole.subarray(0, length))
    assert.equal(found(cut), 'log_corrupt', `cut at ${length}`)
  }
})

test('a long run of writes with compaction keeps the bytes of the log bounded, and the segments', () => {
  const { disk, writer } = begun()
  const trailing = 10
  for (let index = 1; index <= 2000; index += 1) {
    write(writer, entries(index, index, 1))
    if (index > trailing && index % 3 === 0) compact(writer, index - trailing, 1)
    // The entries that are kept with their frames, the segment that they begin in, and the one being written.
    assert(bytesOf(writer.end) <= (trailing + 3) * (entryBytes + 128) + 2 * 4 * (entryBytes + 128), `at ${index}: ${bytesOf(writer.end)}`)
    assert.equal(bytesOf(writer.end), disk.usedBytes())
  }
  assert(segmentsOn(disk)[0]! > 400)
  assert.equal(found(disk), `1988/1: ${'1 '.repeat(12).trim()}`)
})

test('a segment of which most is given up is not kept until it is full', () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const recovered = recoverLog(disk, logId)
  assert(recovered.ok)
  const writer = new SegmentWriter(disk, { prepareBytes: 0, logId, end: recovered.value.end, segmentBytesMax: 100_000 })
  for (const one of entries(1, 150, 1)) write(writer, [one])
  const givenUp = { segment: 1, offset: lastOf(writer.end).bytes - 200 }
  writer.write({ kind: 'compacted', hardState, entryCount: 0, entries: [], indexMax: 0, base: { index: 149, term: 1 }, givenUp })
  assert.deepEqual(segmentsOn(disk), [1, 2])
  write(writer, entries(151, 151, 1))
  compact(writer, 150, 1)
  assert.deepEqual(segmentsOn(disk), [2])
  assert(disk.usedBytes() < 1000)
  assert.equal(found(disk), '150/1: 1')
})
