// What every log store must do when the beginning of the log is given up (compaction) or the whole of it (reset); each implementation's test file calls this.
import assert from 'node:assert/strict'
import type { NodeId } from '../raft/membership.ts'
import { assertEntries, entries, logContract, StoreDriver, type LogContract, type LogStoreUnderTest } from './log-store-contract.ts'

const n1 = 'n1' as NodeId
const all = 64 * 1024 * 1024

/** `make` gives an empty store each time. */
export function logCompactionContract(name: string, make: () => Promise<LogStoreUnderTest>): void {
  const contract = logContract(name, make)
  compactionRules(contract)
  boundRules(contract)
  resetRules(contract)
}

function compactionRules(contract: LogContract): void {
  contract('a compacted log begins after its base, at once', async ({ store }, driver) => {
    driver.append(entries(1, 10, 1))
    await driver.settled()
    store.compact({ index: 6, term: 1 })
    assert.deepEqual({ ...store.reader.base }, { index: 6, term: 1 })
    assert.equal(store.reader.termAt(6), 1)
    assert.equal(store.reader.lastIndex(), 10)
    assertEntries(store.reader.read({ from: 7, to: 10, bytesMax: all }), entries(7, 10, 1))
  })

  contract('compacting to the base or below it changes nothing', async ({ store }, driver) => {
    driver.append(entries(1, 10, 1))
    await driver.settled()
    store.compact({ index: 6, term: 1 })
    store.compact({ index: 6, term: 1 })
    store.compact({ index: 2, term: 1 })
    assert.deepEqual({ ...store.reader.base }, { index: 6, term: 1 })
    assertEntries(store.reader.read({ from: 7, to: 10, bytesMax: all }), entries(7, 10, 1))
  })

  contract('what follows a compaction is appended, replaced and found again', async ({ store, reopen }, driver) => {
    driver.append(entries(1, 10, 1), { term: 1, votedFor: n1 })
    await driver.settled()
    store.compact({ index: 6, term: 1 })
    driver.append(entries(9, 12, 2), { term: 2, votedFor: undefined })
    await driver.settled()
    const expected = [...entries(7, 8, 1), ...entries(9, 12, 2)]
    assertEntries(store.reader.read({ from: 7, to: 12, bytesMax: all }), expected)
    const again = await reopen()
    assert.deepEqual(again.hardState, { term: 2, votedFor: undefined })
    assertEntries(again.reader.read({ from: 7, to: 12, bytesMax: all }), expected)
  })

  contract('reopened, a compacted log begins at its base or before it, and knows the term there', async ({ store, reopen }, driver) => {
    driver.append([...entries(1, 4, 1), ...entries(5, 10, 2)])
    await driver.settled()
    store.compact({ index: 6, term: 2 })
    driver.append(entries(11, 11, 3))
    await driver.settled()
    const { reader } = await reopen()
    assert(reader.base.index <= 6)
    assert.equal(reader.termAt(reader.base.index), reader.base.term)
    assert.equal(reader.termAt(6), 2)
    assertEntries(reader.read({ from: reader.base.index + 1, to: 11, bytesMax: all }), [
      ...[...entries(1, 4, 1), ...entries(5, 10, 2)].slice(reader.base.index),
      ...entries(11, 11, 3),
    ])
  })

  contract('a log that was compacted to its end goes on from there', async ({ store, reopen }, driver) => {
    driver.append(entries(1, 5, 3))
    await driver.settled()
    store.compact({ index: 5, term: 3 })
    assert.equal(store.reader.lastIndex(), 5)
    assert.equal(store.reader.termAt(5), 3)
    driver.append(entries(6, 7, 4))
    await driver.settled()
    const again = await reopen()
    assertEntries(again.reader.read({ from: 6, to: 7, bytesMax: all }), entries(6, 7, 4))
  })
}

function boundRules(contract: LogContract): void {
  contract('what was given up is not written again', async ({ store }, driver) => {
    driver.append(entries(1, 10, 1))
    await driver.settled()
    store.compact({ index: 6, term: 1 })
    assert.throws(() => driver.append(entries(6, 6, 2)))
    await driver.settled()
  })

  contract('the size is that of everything it keeps', async ({ store }, driver) => {
    const log = entries(1, 50, 1)
    driver.append(log)
    await driver.settled()
    assert(store.bytes() >= log.reduce((sum, entry) => sum + entry.bytes.length, 0))
  })
}

function resetRules(contract: LogContract): void {
  contract('a reset forgets everything and begins anew after its base, at once', async ({ store }, driver) => {
    driver.append(entries(1, 10, 1))
    driver.reset({ index: 40, term: 5 }, [])
    assert.deepEqual({ ...store.reader.base }, { index: 40, term: 5 })
    assert.equal(store.reader.lastIndex(), 40)
    assert.equal(store.reader.termAt(40), 5)
    driver.append(entries(41, 42, 6))
    await driver.settled()
    assertEntries(store.reader.read({ from: 41, to: 42, bytesMax: all }), entries(41, 42, 6))
  })

  contract('reopened after a reset, it begins at exactly that base', async ({ reopen }, driver) => {
    driver.append(entries(1, 10, 1), { term: 1, votedFor: n1 })
    await driver.settled()
    driver.reset({ index: 40, term: 5 }, [], { term: 6, votedFor: undefined })
    await driver.settled()
    const second = await reopen()
    assert.deepEqual({ ...second.reader.base }, { index: 40, term: 5 })
    assert.equal(second.reader.lastIndex(), 40)
    assert.equal(second.reader.termAt(40), 5)
    assert.deepEqual(second.hardState, { term: 6, votedFor: undefined })
    const driver2 = new StoreDriver(second)
    driver2.append(entries(41, 41, 6))
    await driver2.settled()
    assertEntries((await reopen()).reader.read({ from: 41, to: 41, bytesMax: all }), entries(41, 41, 6))
  })

  contract('term and vote outlive a reset that does not name them', async ({ reopen }, driver) => {
    driver.append(entries(1, 3, 7), { term: 7, votedFor: n1 })
    driver.reset({ index: 40, term: 7 }, [])
    await driver.settled()
    assert.deepEqual((await reopen()).hardState, { term: 7, votedFor: n1 })
  })

  contract('a reset into the middle of the log brings nothing of the old end back', async ({ store, reopen }, driver) => {
    driver.append(entries(1, 10, 1))
    await driver.settled()
    driver.reset({ index: 5, term: 2 }, [])
    assert.equal(store.reader.lastIndex(), 5)
    await driver.settled()
    const again = await reopen()
    assert.deepEqual({ ...again.reader.base }, { index: 5, term: 2 })
    assert.equal(again.reader.lastIndex(), 5)
  })

  contract('entries in the same write follow the reset', async ({ reopen }, driver) => {
    driver.append(entries(1, 10, 1))
    driver.reset({ index: 7, term: 2 }, entries(8, 9, 3))
    await driver.settled()
    const again = await reopen()
    assert.equal(again.reader.lastIndex(), 9)
    assert.equal(again.reader.termAt(7), 2)
    assertEntries(again.reader.read({ from: 8, to: 9, bytesMax: all }), entries(8, 9, 3))
  })

  contract(
    'appends, resets and compactions reach the disk in the order in which they were asked for',
    async ({ store, reopen }, driver) => {
      driver.append(entries(1, 6, 1))
      store.compact({ index: 3, term: 1 })
      driver.reset({ index: 20, term: 2 }, [])
      driver.append(entries(21, 26, 3))
      store.compact({ index: 22, term: 3 })
      driver.append(entries(25, 25, 4))
      await driver.settled()
      const again = await reopen()
      assert(again.reader.base.index >= 20 && again.reader.base.index <= 22)
      assert.equal(again.reader.lastIndex(), 25)
      assertEntries(again.reader.read({ from: 23, to: 25, bytesMax: all }), [...entries(23, 24, 3), ...entries(25, 25, 4)])
    },
  )
}
