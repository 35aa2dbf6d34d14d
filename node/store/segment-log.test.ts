import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { logStoreContract } from '../replica/log-store-contract.ts'
import { DirectoryDisk } from './directory-disk.ts'
import { createLog } from './log-recovery.ts'
import { startInlineWriter } from './inline-log-writer.ts'
import { MemoryDisk } from './memory-disk.ts'
import { openSegmentLog, openSegmentLogOn, type SegmentLog } from './segment-log.ts'

const logId = Buffer.alloc(16, 7)
const unexpected = (problem: unknown): never => assert.fail(`fatal: ${JSON.stringify(problem)}`)

function open(directory: string, limits?: { segmentBytesMax: number; recentBytesMax: number }): SegmentLog {
  const log = openSegmentLog({ directory, logId, onFatal: unexpected, ...(limits === undefined ? {} : { limits }) })
  assert(log.ok)
  return log.value
}

for (const [name, limits] of [
  ['segment log', undefined],
  ['segment log that keeps nothing in memory and begins a segment every few entries', { segmentBytesMax: 300, recentBytesMax: 0 }],
] as const) {
  logStoreContract(name, async () => {
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
  })
}

logStoreContract('segment log on a disk in memory, written in turns', () => {
  const disk = new MemoryDisk()
  createLog(disk, logId)
  const openInMemory = (): SegmentLog => {
    const log = openSegmentLogOn(
      disk,
      startInlineWriter(disk, (_step, turn) => setImmediate(turn)),
      { logId, onFatal: unexpected, limits: { segmentBytesMax: 300, recentBytesMax: 0 } },
    )
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
})
