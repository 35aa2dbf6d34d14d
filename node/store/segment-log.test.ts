import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { logCompactionContract } from '../replica/log-compaction-contract.ts'
import { logStoreContract, type LogStoreUnderTest } from '../replica/log-store-contract.ts'
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

const small = { segmentBytesMax: 300, recentBytesMax: 0 }

function onDirectory(limits?: typeof small): () => Promise<LogStoreUnderTest> {
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
