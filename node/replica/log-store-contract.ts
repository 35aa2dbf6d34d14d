// What every log store must do, whatever it is made of; each implementation's test file calls this.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry, type Entry } from '../raft/entry.ts'
import type { NodeId } from '../raft/membership.ts'
import type { HardState, LogBase } from '../raft/raft-port.ts'
import { eventually } from './eventually.ts'
import type { LogStore } from './log-store.ts'

export interface LogStoreUnderTest {
  readonly store: LogStore
  /** Closes the store (unless it is closed) and opens it again from what is durable. */
  readonly reopen: () => Promise<LogStore>
  /** Removes everything. */
  readonly dispose: () => Promise<void>
}

const n1 = 'n1' as NodeId
const all = 64 * 1024 * 1024

/** One rule, on a store of its own. */
export type LogContract = (title: string, body: (world: LogStoreUnderTest, driver: StoreDriver) => Promise<void>) => void

/** `make` gives an empty store each time. */
export function logStoreContract(name: string, make: () => Promise<LogStoreUnderTest>): void {
  const contract = logContract(name, make)
  readingRules(contract)
  durabilityRules(contract)
}

export function logContract(name: string, make: () => Promise<LogStoreUnderTest>): LogContract {
  return (title, body) => {
    test(`${name}: ${title}`, async () => {
      const world = await make()
      try {
        await body(world, new StoreDriver(world.store))
      } finally {
        await world.dispose()
      }
    })
  }
}

function readingRules(contract: LogContract): void {
  contract('an empty store has no entry, term 0 and no vote', async ({ store }) => {
    assert.equal(store.reader.lastIndex(), 0)
    assert.equal(store.reader.termAt(0), 0)
    assert.deepEqual(store.hardState, { term: 0, votedFor: undefined })
    await Promise.resolve()
  })

  contract('what is appended can be read at once, before it is durable', async ({ store }, driver) => {
    driver.append(entries(1, 5, 1))
    assert.equal(store.reader.lastIndex(), 5)
    assert.equal(store.reader.termAt(5), 1)
    assertEntries(store.reader.read({ from: 2, to: 4, bytesMax: all }), entries(2, 4, 1))
    await driver.settled()
    assertEntries(store.reader.read({ from: 1, to: 5, bytesMax: all }), entries(1, 5, 1))
  })

  contract('a read is cut at its limit of bytes but brings at least one entry', async ({ store }, driver) => {
    driver.append(entries(1, 10, 1))
    const size = entries(1, 1, 1)[0]?.bytes.length ?? 0
    assert.equal(store.reader.read({ from: 3, to: 10, bytesMax: size * 4 }).length, 4)
    assert.equal(store.reader.read({ from: 3, to: 10, bytesMax: 1 }).length, 1)
    await driver.settled()
    assert.equal(store.reader.read({ from: 3, to: 10, bytesMax: size * 4 }).length, 4)
    assert.equal(store.reader.read({ from: 3, to: 10, bytesMax: 1 }).length, 1)
  })

  contract('entries replace what stood at the first one and after it', async ({ store, reopen }, driver) => {
    driver.append(entries(1, 10, 1))
    driver.append(entries(4, 6, 2))
    assert.equal(store.reader.lastIndex(), 6)
    const expected = [...entries(1, 3, 1), ...entries(4, 6, 2)]
    assertEntries(store.reader.read({ from: 1, to: 6, bytesMax: all }), expected)
    await driver.settled()
    const again = await reopen()
    assert.equal(again.reader.lastIndex(), 6)
    assertEntries(again.reader.read({ from: 1, to: 6, bytesMax: all }), expected)
  })

  contract('replaced entries that come back are the ones that stay', async ({ reopen }, driver) => {
    driver.append(entries(1, 8, 1))
    await driver.settled()
    driver.append(entries(3, 4, 2))
    driver.append(entries(3, 8, 3))
    await driver.settled()
    const again = await reopen()
    assertEntries(again.reader.read({ from: 1, to: 8, bytesMax: all }), [...entries(1, 2, 1), ...entries(3, 8, 3)])
  })
}

function durabilityRules(contract: LogContract): void {
  contract('durability is told in order, and for the newest append', async (_world, driver) => {
    for (let index = 1; index <= 30; index += 1) driver.append(entries(index, index, 1))
    await driver.settled()
    assert.deepEqual(
      driver.told,
      [...driver.told].sort((a, b) => a - b),
    )
    assert.equal(driver.told.at(-1), 30)
  })

  contract('durability is never told inside of append: the caller has not finished its turn', async ({ store }) => {
    const seen: string[] = []
    store.onDurable(() => seen.push('durable'))
    store.append({ sequence: 1, hardState: undefined, entries: entries(1, 1, 1) })
    seen.push('returned')
    await eventually(() => seen.length === 2, 'the append is durable')
    assert.deepEqual(seen, ['returned', 'durable'])
  })

  contract('reopened, it holds exactly what was made durable', async ({ reopen }, driver) => {
    driver.append(entries(1, 100, 3), { term: 3, votedFor: n1 })
    await driver.settled()
    const again = await reopen()
    assert.deepEqual(again.hardState, { term: 3, votedFor: n1 })
    assert.equal(again.reader.lastIndex(), 100)
    assertEntries(again.reader.read({ from: 1, to: 100, bytesMax: all }), entries(1, 100, 3))
  })

  contract('a term without a vote takes the place of an older vote', async ({ store, reopen }, driver) => {
    driver.append([], { term: 1, votedFor: n1 })
    driver.append([], { term: 2, votedFor: undefined })
    assert.deepEqual(store.hardState, { term: 2, votedFor: undefined })
    await driver.settled()
    assert.deepEqual((await reopen()).hardState, { term: 2, votedFor: undefined })
  })

  contract('an append without term and vote leaves them as they were', async ({ reopen }, driver) => {
    driver.append([], { term: 7, votedFor: n1 })
    driver.append(entries(1, 2, 7))
    await driver.settled()
    const again = await reopen()
    assert.deepEqual(again.hardState, { term: 7, votedFor: n1 })
    assert.equal(again.reader.termAt(2), 7)
  })

  contract('it goes on after reopening, and reopens again', async ({ reopen }, driver) => {
    driver.append(entries(1, 3, 1), { term: 1, votedFor: undefined })
    await driver.settled()
    const second = new StoreDriver(await reopen())
    second.append(entries(4, 5, 2), { term: 2, votedFor: n1 })
    await second.settled()
    const again = await reopen()
    assertEntries(again.reader.read({ from: 1, to: 5, bytesMax: all }), [...entries(1, 3, 1), ...entries(4, 5, 2)])
  })

  contract('indexes and terms beyond 32 bits survive', async ({ reopen }, driver) => {
    const term = 2 ** 40 + 5
    driver.append(entries(1, 1, term), { term, votedFor: undefined })
    await driver.settled()
    const again = await reopen()
    assert.equal(again.reader.termAt(1), term)
    assert.equal(again.hardState.term, term)
  })

  contract('a gap is refused', async (_world, driver) => {
    driver.append(entries(1, 2, 1))
    assert.throws(() => driver.append(entries(4, 4, 1)))
    await driver.settled()
  })
}

/** Numbers the appends and remembers what was told. */
export class StoreDriver {
  readonly told: number[] = []
  readonly #store: LogStore
  #sequence = 0

  constructor(store: LogStore) {
    this.#store = store
    store.onDurable((sequence) => this.told.push(sequence))
  }

  append(entries: readonly Entry[], hardState?: HardState): void {
    this.#store.append({ sequence: this.#sequence + 1, hardState, entries })
    this.#sequence += 1
  }

  reset(to: LogBase, entries: readonly Entry[], hardState?: HardState): void {
    this.#store.append({ sequence: this.#sequence + 1, hardState, entries, reset: to })
    this.#sequence += 1
  }

  async settled(): Promise<void> {
    await eventually(() => this.told.at(-1) === this.#sequence, `append ${this.#sequence} is durable`)
  }
}

/** Entries of one term with distinct payloads. */
export function entries(from: number, to: number, term: number): readonly Entry[] {
  return Array.from({ length: to - from + 1 }, (_, position) => {
    const index = from + position
    return makeEntry({
      index,
      term,
      kind: 'command',
      payload: new TextEncoder().encode(`entry ${String(index).padStart(6, '0')} of ${term}`),
    })
  })
}

/** Same entries, byte by byte. */
export function assertEntries(actual: readonly Entry[], expected: readonly Entry[]): void {
  assert.deepEqual(actual.map(plain), expected.map(plain))
}

// Buffers and typed arrays with the same bytes are the same here.
function plain(entry: Entry): unknown {
  return { index: entry.index, term: entry.term, kind: entry.kind, bytes: Buffer.from(entry.bytes).toString('hex') }
}
