import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeEntry, type Entry } from '../raft/entry.ts'
import { logCompactionContract } from '../replica/log-compaction-contract.ts'
import { assertEntries, entries, logStoreContract, type LogStoreUnderTest } from '../replica/log-store-contract.ts'
import { DirectoryDisk } from './directory-disk.ts'
import { createLog, recoverLog } from './log-recovery.ts'
import type { FatalProblem } from '../store/fatal.ts'
import { startInlineWriter } from './inline-log-writer.ts'
import { MemoryDisk } from './memory-disk.ts'
import { openSegmentLog, openSegmentLogOn, type LogLimits, type SegmentLog } from './segment-log.ts'
import { SegmentWriter, type FrameToWrite, type LogEnd } from './segment-writer.ts'

const logId = Buffer.alloc(16, 7)
const unexpected = (problem: unknown): never => assert.fail(`fatal: ${JSON.stringify(problem)}`)

function open(directory: string, limits?: Partial<LogLimits>): SegmentLog {
  const log = openSegmentLog({ directory, logId, onFatal: unexpected, ...(limits === undefined ? {} : { limits }) })
  assert(log.ok)
  return log.value
}

const small = { segmentBytesMax: 300, recentBytesMax: 0 }

function onDirectory(limits?: Partial<LogLimits>): () => Promise<LogStoreUnderTest> {
  return async () => {
    const directory = await mkdtemp(join(tmpdir(), 'segment-log-'))
    createLog(new DirectoryDisk(directory), logId)
    let store = open(directory, limits)
    return {
      store,
      reopen: async () => {
        await store.close()
        store = open(directory, limits)
        return store
      },
      dispose: async () => {
        await store.close()
        await rm(directory, { recursive: true })
      },
    }
  }
}

function inMemory(): Promise<LogStoreUnderTest> {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const openInMemory = (): SegmentLog => {
    const startWriter = startInlineWriter(disk, (_step, turn) => setImmediate(turn))
    const log = openSegmentLogOn(disk, startWriter, { logId, onFatal: unexpected, limits: small })
    assert(log.ok)
    return log.value
  }
  let store = openInMemory()
  return Promise.resolve({
    store,
    reopen: async () => {
      await store.close()
      store = openInMemory()
      return store
    },
    dispose: () => store.close(),
  })
}

for (const [name, make] of [
  ['segment log', onDirectory()],
  ['segment log that keeps nothing in memory and begins a segment every few entries', onDirectory(small)],
  ['segment log on a disk in memory, written in turns', inMemory],
] as const) {
  logStoreContract(name, make)
  logCompactionContract(name, make)
}

/** A log on `disk` whose steps wait until they are told to be done. */
function openByHand(
  disk: MemoryDisk,
  fatal: FatalProblem[] = [],
): { readonly log: SegmentLog; readonly turn: () => void; readonly durable: number[] } {
  const turns: (() => void)[] = []
  const startWriter = startInlineWriter(disk, (_step, turn) => turns.push(turn))
  const opened = openSegmentLogOn(disk, startWriter, { logId, onFatal: (problem) => fatal.push(problem), limits: small })
  assert(opened.ok)
  const durable: number[] = []
  opened.value.onDurable((sequence) => durable.push(sequence))
  return { log: opened.value, turn: () => turns.shift()?.(), durable }
}

test('an entry that comes back in a reset is found where the reset put it, not where it was being written before', async () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const { log, turn, durable } = openByHand(disk)
  const [first, ...rest] = entries(1, 3, 1)
  assert(first !== undefined)
  log.append({ sequence: 1, hardState: undefined, entries: [first, ...rest] })
  turn()
  log.append({ sequence: 2, hardState: undefined, entries: [first], reset: { index: 0, term: 0 } })
  for (let step = 0; step < 6; step += 1) turn()
  assert.deepEqual(durable, [1, 2])
  assert.equal(log.reader.lastIndex(), 1)
  assertEntries(log.reader.read({ from: 1, to: 1, bytesMax: 1000 }), [first])
  await log.close()
})

for (const failure of ['write', 'sync'] as const) {
  test(`a ${failure} that the disk refuses is fatal at once and once, acknowledges nothing, and is not tried again`, async () => {
    const disk = new MemoryDisk()
    createLog(disk, logId)
    const fatal: FatalProblem[] = []
    const { log, turn, durable } = openByHand(disk, fatal)
    log.append({ sequence: 1, hardState: { term: 1, votedFor: undefined }, entries: entries(1, 2, 1) })
    disk.failNext(failure)
    log.append({ sequence: 2, hardState: undefined, entries: entries(3, 4, 1) })
    log.compact({ index: 1, term: 1 })
    for (let step = 0; step < 10; step += 1) turn()
    log.append({ sequence: 3, hardState: undefined, entries: entries(5, 5, 1) })
    for (let step = 0; step < 10; step += 1) turn()
    assert.deepEqual(
      fatal.map(({ code }) => code),
      ['log_write_failed'],
    )
    assert.deepEqual(durable, [])
    await log.close()
    // The process sees what it wrote; the platter may not have it. Whatever is found is a whole log.
    disk.powerFailure(3)
    assert(openByHand(disk).log.reader.lastIndex() <= 4)
  })
}

test('after a sync that failed, the next one would have said that all is well: what it lost is lost', () => {
  const disk = new MemoryDisk()
  const file = disk.create('f')
  disk.syncDirectory()
  file.write(Buffer.from('first'), 0)
  disk.failNext('sync')
  assert.throws(() => file.sync(), /EIO/)
  file.write(Buffer.from('second'), 512)
  file.sync()
  disk.powerFailure(1)
  assert.deepEqual(Buffer.from(disk.read('f')).toString('latin1').replaceAll('\0', ''), 'second')
})

test('a disk that is full is told apart from one that fails; what was durable is there when there is room again', async () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const fatal: FatalProblem[] = []
  const { log, turn, durable } = openByHand(disk, fatal)
  log.append({ sequence: 1, hardState: undefined, entries: entries(1, 2, 1) })
  turn()
  turn()
  assert.deepEqual(durable, [1])
  disk.limit(disk.usedBytes() + 200)
  log.append({ sequence: 2, hardState: undefined, entries: entries(3, 30, 1) })
  for (let step = 0; step < 10; step += 1) turn()
  assert.deepEqual(
    fatal.map(({ code }) => code),
    ['log_disk_full'],
  )
  assert.deepEqual(durable, [1])
  await log.close()
  disk.limit(Infinity)
  assert.equal(openByHand(disk).log.reader.lastIndex(), 2)
})

test('memory and descriptors do not grow with a log that is compacted', async () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const { log, turn } = openByHand(disk)
  let bytesMax = 0
  for (let index = 1; index <= 3000; index += 1) {
    log.append({ sequence: index, hardState: undefined, entries: entries(index, index, 1) })
    for (let step = 0; step < 3; step += 1) turn()
    if (index > 20) log.compact({ index: index - 20, term: 1 })
    bytesMax = Math.max(bytesMax, log.bytes())
  }
  assert(bytesMax < 20_000, `${bytesMax}`)
  assert(disk.usedBytes() < 20_000)
  assert.deepEqual({ ...log.reader.base }, { index: 2980, term: 1 })
  await log.close()
})

test('a node whose disk is full starts once more on what was kept for it; when that is gone too, it says so', () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const startWriter = startInlineWriter(disk, () => {})
  const start = (): ReturnType<typeof openSegmentLogOn> =>
    openSegmentLogOn(disk, startWriter, { logId, onFatal: unexpected, limits: { ...small, prepareBytes: 0, reserveBytes: 1000 } })
  assert(start().ok)
  assert.equal(disk.read('reserve').length, 1000)
  disk.limit(disk.usedBytes())
  const again = start()
  assert(again.ok)
  assert(!disk.names().includes('reserve'))
  assert.deepEqual(again.value.hardState, { term: 0, votedFor: undefined })
  disk.limit(disk.usedBytes())
  const full = start()
  assert(!full.ok && full.problem.code === 'log_disk_full')
  // Room, but not twice as much: it would be the reserve that fills the disk.
  disk.limit(disk.usedBytes() + 1500)
  assert(start().ok)
  assert(!disk.names().includes('reserve'))
  disk.limit(Infinity)
  assert(start().ok)
  assert(disk.names().includes('reserve'))
})

test('an entry that is replaced while it is being written is never read in the place of the one that replaced it', () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const turns: (() => void)[] = []
  const startWriter = startInlineWriter(disk, (_, turn) => turns.push(turn))
  const limits = { segmentBytesMax: 4096, recentBytesMax: 0, prepareBytes: 0, reserveBytes: 0 }
  const opened = openSegmentLogOn(disk, startWriter, { logId, onFatal: unexpected, limits })
  assert(opened.ok)
  const log = opened.value
  const made = (term: number): Entry => makeEntry({ index: 1, term, kind: 'command', payload: new Uint8Array([term]) })
  log.append({ sequence: 1, hardState: { term: 1, votedFor: undefined }, entries: [made(1)] })
  turns.shift()?.()
  log.append({ sequence: 2, hardState: { term: 2, votedFor: undefined }, entries: [made(2)] })
  // The first write is durable now, and says where its entry stands.
  turns.shift()?.()
  assert.equal(log.reader.read({ from: 1, to: 1, bytesMax: 100 })[0]?.term, 2)
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn()
  assert.equal(log.reader.read({ from: 1, to: 1, bytesMax: 100 })[0]?.term, 2)
})

test('a sync that fails while the log is opened is as bad as one that fails later: nobody may believe what is read back from memory', () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const fatal: FatalProblem[] = []
  const open = (): unknown =>
    openSegmentLogOn(
      disk,
      startInlineWriter(disk, () => {}),
      { logId, onFatal: (problem) => fatal.push(problem), limits: small },
    )
  disk.failNext('sync')
  assert.throws(open, { code: 'EIO' })
  assert.deepEqual(
    fatal.map(({ code }) => code),
    ['log_write_failed'],
  )
})

test('what a killed process had written and not synced is synced before a start builds on it: a later power failure takes none of it', () => {
  const leavings: Record<string, (disk: MemoryDisk, killed: SegmentWriter) => void> = {
    // It leaves no room in its segment for what a start writes.
    'a frame that was not synced': (_, killed) => killed.start(frameOf(1, 60)),
    'a segment whose name was not synced': (disk, killed) => {
      killed.write(frameOf(1, 20))
      disk.failNext('sync-directory')
      assert.throws(() => killed.start(frameOf(2, 200)), { code: 'EIO' })
    },
  }
  for (const [what, leave] of Object.entries(leavings)) {
    for (let seed = 1; seed <= 20; seed += 1) {
      const disk = new MemoryDisk()
      createLog(disk, logId)
      leave(disk, new SegmentWriter(disk, { logId, end: endOf(disk), segmentBytesMax: small.segmentBytesMax, prepareBytes: 0 }))
      const start = (): boolean =>
        openSegmentLogOn(disk, startInlineWriter(disk, nothing), { logId, onFatal: unexpected, limits: small }).ok
      assert(start())
      const written = disk.names().at(-1) ?? ''
      assert.equal(written, '0000000002.segment')
      disk.powerFailure(seed)
      assert(disk.names().includes(written), `${what}, seed ${seed}`)
      assert(start(), `${what}, seed ${seed}`)
    }
  }
})

function nothing(): void {}

function endOf(disk: MemoryDisk): LogEnd {
  const recovered = recoverLog(disk, logId)
  assert(recovered.ok)
  return recovered.value.end
}

function frameOf(index: number, payloadBytes: number): FrameToWrite {
  const { bytes } = makeEntry({ index, term: 1, kind: 'command', payload: new Uint8Array(payloadBytes) })
  return { kind: 'persist', hardState: { term: 1, votedFor: undefined }, entryCount: 1, entries: [bytes], indexMax: index }
}
