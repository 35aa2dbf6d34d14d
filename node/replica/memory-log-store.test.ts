import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry } from '../raft/entry.ts'
import { logCompactionContract } from './log-compaction-contract.ts'
import { logStoreContract } from './log-store-contract.ts'
import { ManualClock } from './manual-clock.ts'
import { MemoryDisk, MemoryLogStore } from './memory-log-store.ts'
import { systemClock } from './system-clock.ts'

function make() {
  const disk = new MemoryDisk()
  let store = new MemoryLogStore(disk, systemClock)
  const reopen = async () => {
    await store.close()
    store = new MemoryLogStore(disk, systemClock)
    return store
  }
  return Promise.resolve({ store, reopen, dispose: () => store.close() })
}

logStoreContract('the log store in memory', make)
logCompactionContract('the log store in memory', make)

test('what the memory store has not yet synced is lost in a crash', () => {
  const clock = new ManualClock()
  const disk = new MemoryDisk()
  const store = new MemoryLogStore(disk, clock)
  store.append({
    sequence: 1,
    hardState: { term: 1, votedFor: undefined },
    entries: [makeEntry({ index: 1, term: 1, kind: 'noop', payload: new Uint8Array() })],
  })
  store.crash()
  clock.settle()
  assert.equal(new MemoryLogStore(disk, clock).reader.lastIndex(), 0)
  assert.equal(disk.hardState.term, 0)
})
