import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry, type Entry } from '../raft/entry.ts'
import type { NodeId } from '../raft/membership.ts'
import type { HardState } from '../raft/raft-port.ts'
import { createLog, recoverLog, segmentsOn } from './log-recovery.ts'
import { MemoryDisk } from './memory-disk.ts'
import { encodeSegmentHeader, frameLength, segmentHeaderBytes, segmentName } from './segment-format.ts'
import { SegmentWriter, lastOf, type FrameToWrite, type LogEnd } from './segment-writer.ts'

const logId = Buffer.alloc(16, 7)
const n1 = 'n1' as NodeId
const vote: HardState = { term: 3, votedFor: n1 }

function entry(index: number, term = 1, text = `entry ${index}`): Entry {
  return makeEntry({ index, term, kind: 'command', payload: new TextEncoder().encode(text) })
}

/** Starts a log on `disk` and writes one frame per batch; gives the length of the last segment after each. */
function write(disk: MemoryDisk, batches: readonly (readonly Entry[])[], options = { segmentBytesMax: 1 << 20 }): readonly number[] {
  createLog(disk, logId)
  const writer = writerAtEnd(disk, logId, options)
  const lengths = batches.map((entries) => {
    writer.write(frameOf(entries))
    return lastOf(writer.end).bytes
  })
  writer.close()
  return lengths
}

function writerAtEnd(disk: MemoryDisk, id = logId, options = { segmentBytesMax: 1 << 20 }): SegmentWriter {
  const recovered = recoverLog(disk, id)
  assert(recovered.ok)
  return new SegmentWriter(disk, { prepareBytes: 0, logId: id, end: recovered.value.end, ...options })
}

function endOf(disk: MemoryDisk): LogEnd {
  const recovered = recoverLog(disk, logId)
  assert(recovered.ok)
  return recovered.value.end
}

function frameOf(entries: readonly Entry[], hardState = vote): FrameToWrite {
  const indexMax = Math.max(0, ...entries.map(({ index }) => index))
  return { kind: 'persist', hardState, entryCount: entries.length, entries: entries.map(({ bytes }) => bytes), indexMax }
}

/** Length of a segment that holds what createLog writes. */
const begun = segmentHeaderBytes + frameLength({ term: 0, votedFor: undefined }, 0)

function recover(disk: MemoryDisk): string {
  const recovered = recoverLog(disk, logId)
  if (!recovered.ok) return recovered.problem.code
  return `last ${recovered.value.index.last}, term ${recovered.value.end.hardState.term}, cut ${recovered.value.tornBytes}`
}

const batches = [[entry(1), entry(2)], [entry(3)], [entry(4), entry(5), entry(6)]]

test('a log that was closed or not reads back as it was written: entries, term, vote', () => {
  const disk = new MemoryDisk()
  write(disk, batches)
  const recovered = recoverLog(disk, logId)
  assert(recovered.ok)
  assert.equal(recovered.value.index.last, 6)
  assert.deepEqual(recovered.value.end.hardState, vote)
})

test('cut at any byte of the last batch, the log loses that batch as a whole and nothing else, and goes on', () => {
  const disk = new MemoryDisk()
  const [, before = 0, after = 0] = write(disk, batches)
  const whole = disk.read(segmentName(1))
  assert.equal(whole.length, after)
  for (let length = before; length < after; length += 1) {
    const cut = new MemoryDisk()
    cut.put(segmentName(1), whole.subarray(0, length))
    assert.equal(recover(cut), `last 3, term 3, cut ${length - before}`)
    assert.equal(cut.read(segmentName(1)).length, before, 'what was torn is gone from the file')
    assert.equal(recover(cut), 'last 3, term 3, cut 0')
  }
})

test('the last batch with its length on disk but any byte of it wrong, or zeros, or rubbish, is torn as well', () => {
  const disk = new MemoryDisk()
  const [, before = 0, after = 0] = write(disk, batches)
  const whole = disk.read(segmentName(1))
  for (let at = before; at < after; at += 1) {
    const torn = new MemoryDisk()
    torn.put(segmentName(1), flipped(whole, at))
    assert.equal(recover(torn), `last 3, term 3, cut ${after - before}`)
  }
  for (const fill of [0, 0xff, 0xd1]) {
    const torn = new MemoryDisk()
    torn.put(segmentName(1), Buffer.concat([whole.subarray(0, before), Buffer.alloc(after - before + 100, fill)]))
    // Zeros are what is written ahead of the frames: an end, nothing that was cut.
    assert.equal(recover(torn), `last 3, term 3, cut ${fill === 0 ? 0 : after - before + 100}`)
  }
})

test('of a batch whose last sectors were not written but prepared, the part that was is cut', () => {
  const disk = new MemoryDisk()
  const [, before = 0, after = 0] = write(disk, batches)
  const whole = disk.read(segmentName(1))
  for (let length = before + 1; length < after; length += 1) {
    const torn = new MemoryDisk()
    torn.put(segmentName(1), Buffer.concat([whole.subarray(0, length), Buffer.alloc(after - length + 100)]))
    assert.match(recover(torn), /^last 3, term 3, cut [1-9]/)
    assert.equal(torn.read(segmentName(1)).length, before)
  }
})

test('what is prepared is synced with the frame before it, used by those behind it, and no part of the log', () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const recovered = recoverLog(disk, logId)
  assert(recovered.ok)
  const writer = new SegmentWriter(disk, { logId, end: recovered.value.end, segmentBytesMax: 2000, prepareBytes: 600 })
  writer.write(frameOf([entry(1)]))
  const prepared = disk.read(segmentName(1)).length
  assert.equal(prepared, lastOf(writer.end).bytes + 600)
  writer.write(frameOf([entry(2)]))
  assert.equal(disk.read(segmentName(1)).length, prepared)
  disk.powerFailure(1)
  assert.equal(recover(disk), 'last 2, term 3, cut 0')
  const again = new SegmentWriter(disk, { logId, end: endOf(disk), segmentBytesMax: 2000, prepareBytes: 600 })
  again.write(frameOf([entry(3)]))
  assert.equal(disk.read(segmentName(1)).length, prepared, 'a log that is opened again uses it too')
  for (let index = 4; index <= 40; index += 1) again.write(frameOf([entry(index)]))
  for (const segment of segmentsOn(disk))
    assert(disk.read(segmentName(segment)).length <= 2000, 'nothing is prepared beyond a full segment')
  assert.equal(recover(disk), 'last 40, term 3, cut 0')
})

test('a frame in its place whose number is not the next one is corruption: a write is missing before it', () => {
  const disk = new MemoryDisk()
  write(disk, batches)
  const end = endOf(disk)
  const writer = new SegmentWriter(disk, { logId, end: { ...end, frame: end.frame + 1 }, segmentBytesMax: 1 << 20, prepareBytes: 0 })
  writer.write(frameOf([entry(7)]))
  assert.equal(recover(disk), 'log_corrupt')
})

test('frames at the end of an older segment that have become zeros are missed by the segment behind it', () => {
  const disk = new MemoryDisk()
  write(disk, [...batches, [entry(7)]], { segmentBytesMax: 400 })
  const [first = 0] = segmentsOn(disk)
  const whole = disk.read(segmentName(first))
  const lastFrame = whole.length - 64 - n1.length - entry(3).bytes.length
  const zeroed = disk.copy()
  zeroed.put(segmentName(first), Buffer.concat([whole.subarray(0, lastFrame), Buffer.alloc(whole.length - lastFrame)]))
  assert.equal(recover(zeroed), 'log_corrupt')
})

test('a disk without room for what would be prepared still takes the frame', () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  disk.limit(disk.usedBytes() + 500)
  const writer = new SegmentWriter(disk, { logId, end: endOf(disk), segmentBytesMax: 1 << 20, prepareBytes: 1 << 16 })
  writer.write(frameOf([entry(1)]))
  assert.equal(recover(disk), 'last 1, term 3, cut 0')
  assert.throws(() => {
    for (let index = 2; index <= 20; index += 1) writer.write(frameOf([entry(index)]))
  }, /ENOSPC/)
  disk.limit(Infinity)
  assert.match(recover(disk), /^last \d, term 3, cut \d+$/)
})

test('any byte wrong in an earlier batch is corruption: the log does not open, says where, and is left as it is', () => {
  const disk = new MemoryDisk()
  const [, before = 0] = write(disk, batches)
  const whole = disk.read(segmentName(1))
  for (let at = segmentHeaderBytes; at < before; at += 1) {
    const rotten = new MemoryDisk()
    const bytes = flipped(whole, at)
    rotten.put(segmentName(1), bytes)
    const recovered = recoverLog(rotten, logId)
    assert(!recovered.ok, `byte ${at}`)
    assert.equal(recovered.problem.code, 'log_corrupt')
    assert.match(recovered.problem.message, /segment 0000000001\.segment, offset \d+/)
    assert.deepEqual(rotten.read(segmentName(1)), Uint8Array.from(bytes))
  }
})

test('any byte wrong in the header of the first segment is corruption, or another log', () => {
  const disk = new MemoryDisk()
  write(disk, batches)
  const whole = disk.read(segmentName(1))
  for (let at = 0; at < segmentHeaderBytes; at += 1) {
    const rotten = new MemoryDisk()
    rotten.put(segmentName(1), flipped(whole, at))
    assert.equal(recover(rotten), 'log_corrupt', `byte ${at}`)
  }
  const other = new MemoryDisk()
  const header = encodeSegmentHeader(Buffer.alloc(16, 8), { segment: 1, firstFrame: 1 })
  other.put(segmentName(1), Buffer.concat([header, whole.subarray(segmentHeaderBytes)]))
  assert.equal(recover(other), 'log_of_another_node')
})

test('after an orderly end, or after being opened again, damage to the last batch is corruption: it had been synced', () => {
  for (const kind of ['closed', 'opened'] as const) {
    const disk = new MemoryDisk()
    const [, before = 0, after = 0] = write(disk, batches)
    const writer = writerAtEnd(disk)
    writer.write({ ...frameOf([]), kind })
    writer.close()
    const whole = disk.read(segmentName(1))
    for (let at = before; at < after; at += 1) {
      const rotten = new MemoryDisk()
      rotten.put(segmentName(1), flipped(whole, at))
      assert.equal(recover(rotten), 'log_corrupt')
    }
  }
})

test('damage at the end of a segment that has a successor is corruption, a cut there as well', () => {
  const disk = new MemoryDisk()
  write(disk, batches, { segmentBytesMax: 100 })
  assert.deepEqual(disk.names(), [2, 3, 4].map(segmentName))
  assert.equal(recover(disk), 'last 6, term 3, cut 0')
  for (const segment of [2, 3]) {
    const whole = disk.read(segmentName(segment))
    for (let length = 0; length < whole.length; length += 1) {
      const rotten = disk.copy()
      rotten.put(segmentName(segment), whole.subarray(0, length))
      assert.equal(recover(rotten), 'log_corrupt', `segment ${segment} cut at ${length}`)
    }
  }
})

test('a segment that was being begun when the power failed is removed; the log ends with the one before it', () => {
  const disk = new MemoryDisk()
  write(disk, batches, { segmentBytesMax: 100 })
  const header = encodeSegmentHeader(logId, { segment: 5, firstFrame: 5 })
  for (let length = 0; length < segmentHeaderBytes; length += 1) {
    const torn = disk.copy()
    torn.put(segmentName(5), header.subarray(0, length))
    assert.equal(recover(torn), `last 6, term 3, cut ${length}`)
    assert.deepEqual(torn.names(), [2, 3, 4].map(segmentName))
  }
  const whole = disk.copy()
  whole.put(segmentName(5), header)
  assert.equal(recover(whole), 'last 6, term 3, cut 0')
})

test('a damaged header of a later segment that holds a frame is corruption', () => {
  const disk = new MemoryDisk()
  write(disk, batches, { segmentBytesMax: 100 })
  const whole = disk.read(segmentName(4))
  for (let at = 0; at < segmentHeaderBytes; at += 1) {
    const rotten = disk.copy()
    rotten.put(segmentName(4), flipped(whole, at))
    assert.equal(recover(rotten), 'log_corrupt')
  }
})

test('a missing segment, at the beginning or in between, is corruption; no segment at all is a missing log', () => {
  const disk = new MemoryDisk()
  write(disk, batches, { segmentBytesMax: 100 })
  for (const segment of [2, 3]) {
    const holed = disk.copy()
    holed.remove(segmentName(segment))
    assert.equal(recover(holed), 'log_corrupt')
  }
  assert.equal(recover(new MemoryDisk()), 'log_missing')
})

test('a valid frame of another place, another segment or another log is never taken for this one', () => {
  const disk = new MemoryDisk()
  const [first = 0, second = 0] = write(disk, batches)
  const whole = Buffer.from(disk.read(segmentName(1)))
  // The first frame copied over the third: valid bytes, wrong place.
  const misplaced = new MemoryDisk()
  misplaced.put(segmentName(1), Buffer.concat([whole.subarray(0, second), whole.subarray(begun, first)]))
  assert.equal(recover(misplaced), `last 3, term 3, cut ${first - begun}`)
  // A frame is missing in between, the bytes behind it moved up.
  const shifted = new MemoryDisk()
  shifted.put(segmentName(1), Buffer.concat([whole.subarray(0, first), whole.subarray(second)]))
  assert.equal(recover(shifted), `last 2, term 3, cut ${whole.length - second}`)
  // The tail of an older file that a file system gave us again.
  const other = new MemoryDisk()
  createLog(other, Buffer.alloc(16, 9))
  const writer = writerAtEnd(other, Buffer.alloc(16, 9))
  for (const entries of batches) writer.write(frameOf(entries))
  const stale = new MemoryDisk()
  stale.put(segmentName(1), Buffer.concat([whole.subarray(0, second), Buffer.from(other.read(segmentName(1))).subarray(second)]))
  assert.equal(recover(stale), `last 3, term 3, cut ${whole.length - second}`)
})

test('a payload that looks like a frame cannot make a torn tail look like corruption: it cannot know the seed', () => {
  const disk = new MemoryDisk()
  const forged = new MemoryDisk()
  write(forged, [[entry(1)]])
  const payload = forged.read(segmentName(1)).slice(begun)
  const [before = 0, after = 0] = write(disk, [[entry(1)], [makeEntry({ index: 2, term: 1, kind: 'command', payload })]])
  const torn = new MemoryDisk()
  torn.put(segmentName(1), flipped(disk.read(segmentName(1)), before + 10))
  assert.equal(recover(torn), `last 1, term 3, cut ${after - before}`)
})

test('entries that replace others win after recovery, whatever frame they came in', () => {
  const disk = new MemoryDisk()
  write(disk, [[entry(1), entry(2), entry(3)], [entry(2, 2)], [entry(3, 2), entry(3, 3), entry(4, 3)]])
  const recovered = recoverLog(disk, logId)
  assert(recovered.ok)
  assert.deepEqual(
    [1, 2, 3, 4].map((index) => recovered.value.index.termAt(index)),
    [1, 2, 3, 3],
  )
})

test('a disk that refuses a write or a sync is told, not tried again', () => {
  for (const failure of ['write', 'sync'] as const) {
    const disk = new MemoryDisk()
    write(disk, batches)
    const writer = writerAtEnd(disk)
    disk.failNext(failure)
    assert.throws(() => writer.write(frameOf([])), /EIO/)
    // It would be written over the frame that may stand there, and what follows it would seem to follow nothing.
    assert.throws(() => writer.write(frameOf([])), /not written to again/)
  }
})

test('what was never synced may be lost, torn or reordered at a power failure: what was acknowledged stays', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const disk = new MemoryDisk()
    write(disk, batches, { segmentBytesMax: seed % 2 === 0 ? 200 : 1 << 20 })
    const writer = writerAtEnd(disk)
    disk.holdSyncs()
    const entries = Array.from({ length: 20 }, (_, n) => entry(7 + n, 3, 'x'.repeat(200)))
    writer.write(frameOf(entries, { term: 9, votedFor: undefined }))
    disk.powerFailure(seed)
    const after = recoverLog(disk, logId)
    assert(after.ok, 'a torn write is never corruption')
    const { index, end } = after.value
    assert(index.last === 6 || index.last === 26, `${index.last}`)
    assert.equal(end.hardState.term, index.last === 6 ? 3 : 9)
  }
})

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at]! ^= 0x10
  return copy
}
