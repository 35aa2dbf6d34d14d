import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeEntry } from '../raft/entry.ts'
import type { NodeId } from '../raft/membership.ts'
import { salvageHardState, setAside } from './damaged-log.ts'
import { createLog, recoverLog, segmentsOn } from './log-recovery.ts'
import { MemoryDisk } from './memory-disk.ts'
import { segmentName } from './segment-format.ts'
import { SegmentWriter } from './segment-writer.ts'

const logId = Buffer.alloc(16, 7)
const n1 = 'n1' as NodeId

/** Frames of terms 1 to 6, as many in each segment as `segmentBytesMax` lets in; gives how long the last segment was before the last frame. */
function damagedLog(segmentBytesMax: number): { readonly disk: MemoryDisk; readonly lastFrameAt: number } {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const recovered = recoverLog(disk, logId)
  assert(recovered.ok)
  const writer = new SegmentWriter(disk, { prepareBytes: 0, logId, end: recovered.value.end, segmentBytesMax })
  let lastFrameAt = 0
  for (let term = 1; term <= 6; term += 1) {
    const entry = makeEntry({ index: term, term, kind: 'command', payload: new Uint8Array(50) })
    const { entriesOffset } = writer.write({
      kind: 'persist',
      hardState: { term, votedFor: n1 },
      entryCount: 1,
      entries: [entry.bytes],
      indexMax: term,
    })
    lastFrameAt = entriesOffset - 64 - n1.length
  }
  return { disk, lastFrameAt }
}

for (const segmentBytesMax of [1 << 20, 400]) {
  test(`with damage anywhere before the last frame, term and vote are those of the last frame (segments of ${segmentBytesMax} bytes)`, () => {
    const { disk, lastFrameAt } = damagedLog(segmentBytesMax)
    const segments = segmentsOn(disk)
    for (const segment of segments) {
      const length = segment === segments.at(-1) ? lastFrameAt : disk.read(segmentName(segment)).length
      for (let at = 0; at < length; at += 1) {
        const rotten = disk.copy()
        rotten.flip(segmentName(segment), at)
        assert.deepEqual(salvageHardState(rotten, logId), { term: 6, votedFor: n1 })
      }
    }
    const holed = disk.copy()
    if (segments.length > 1) holed.remove(segmentName(segments[0] ?? 0))
    assert.deepEqual(salvageHardState(holed, logId), { term: 6, votedFor: n1 })
  })

  test(`when the last frame itself is damaged, cut or followed by anything but zeros, nobody can know the vote (segments of ${segmentBytesMax} bytes)`, () => {
    const { disk, lastFrameAt } = damagedLog(segmentBytesMax)
    const name = segmentName(segmentsOn(disk).at(-1) ?? 0)
    const whole = disk.read(name)
    for (let at = lastFrameAt; at < whole.length; at += 1) {
      const rotten = disk.copy()
      rotten.flip(name, at)
      assert.equal(salvageHardState(rotten, logId), undefined)
      const cut = disk.copy()
      cut.put(name, whole.subarray(0, at + 1).subarray(0, whole.length - 1))
      assert.equal(salvageHardState(cut, logId), undefined)
    }
    const longer = disk.copy()
    longer.put(name, Buffer.concat([whole, Buffer.alloc(10, 1)]))
    assert.equal(salvageHardState(longer, logId), undefined)
    const prepared = disk.copy()
    prepared.put(name, Buffer.concat([whole, Buffer.alloc(100)]))
    assert.deepEqual(salvageHardState(prepared, logId), { term: 6, votedFor: n1 })
  })
}

test('nothing is salvaged of an empty directory, of rubbish, or of another log', () => {
  assert.equal(salvageHardState(new MemoryDisk(), logId), undefined)
  const rubbish = new MemoryDisk()
  rubbish.put(segmentName(1), Buffer.alloc(1000, 0xd1))
  assert.equal(salvageHardState(rubbish, logId), undefined)
  assert.equal(salvageHardState(damagedLog(400).disk, Buffer.alloc(16, 8)), undefined)
})

test('a segment that had just been begun takes nothing from the one before it', () => {
  const { disk } = damagedLog(1 << 20)
  const copy = disk.copy()
  const begun = new MemoryDisk()
  createLog(begun, logId)
  // Header of a second segment, as it is before its first frame.
  const writer = new SegmentWriter(disk, { prepareBytes: 0, logId, end: endOf(disk), segmentBytesMax: 100 })
  writer.start({ kind: 'persist', hardState: { term: 9, votedFor: undefined }, entryCount: 0, entries: [], indexMax: 0 })
  copy.put(segmentName(2), disk.read(segmentName(2)).subarray(0, 64))
  assert.deepEqual(salvageHardState(copy, logId), { term: 6, votedFor: n1 })
  copy.put(segmentName(2), disk.read(segmentName(2)).subarray(0, 70))
  assert.equal(salvageHardState(copy, logId), undefined)
})

test('a damaged log is put aside whole, an empty directory takes its place, and only the newest is kept', () => {
  const parent = mkdtempSync(join(tmpdir(), 'damaged-'))
  try {
    const directory = join(parent, 'raft')
    for (const content of ['first', 'second', 'third']) {
      mkdirSync(directory, { recursive: true })
      writeFileSync(join(directory, segmentName(1)), content)
      const path = setAside(directory)
      assert.equal(readFileSync(join(path, segmentName(1)), 'utf8'), content)
      assert.deepEqual(readdirSync(directory), [])
      assert.equal(statSync(directory).mode & 0o777, 0o700)
    }
    assert.deepEqual(readdirSync(parent).toSorted(), ['raft', 'raft.damaged-3'])
  } finally {
    rmSync(parent, { recursive: true })
  }
})

function endOf(disk: MemoryDisk): ConstructorParameters<typeof SegmentWriter>[1]['end'] {
  const recovered = recoverLog(disk.copy(), logId)
  assert(recovered.ok)
  return recovered.value.end
}
