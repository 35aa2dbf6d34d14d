import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { makeEntry, type Entry } from '../raft/entry.ts'
import { HashFold, RecentHashes, decodeHashPayload, emptyHash, encodeHashPayload, hashRow } from './state-hash.ts'
import { TestMachine, command, logOf, type ShortStatement } from './test-machine.ts'

async function onTwo(body: (one: TestMachine, two: TestMachine) => Promise<void>): Promise<void> {
  const worlds = [new TestMachine(), new TestMachine()] as const
  try {
    await body(...worlds)
    for (const world of worlds) assert.deepEqual(world.fatal, [])
  } finally {
    for (const world of worlds) await world.dispose()
  }
}

function hashEntry(index: number, payload: Uint8Array | undefined): Entry {
  assert(payload !== undefined, 'there is something to compare')
  return makeEntry({ index, term: 1, kind: 'state-hash', payload })
}

function tamper(world: TestMachine, sql: string): void {
  const database = new Database(world.path)
  database.exec(sql)
  database.close()
}

const accounts: readonly ShortStatement[] = ['CREATE TABLE t (id INTEGER PRIMARY KEY, n)', 'INSERT INTO t (n) VALUES (1), (2), (3)']
const changes: readonly ShortStatement[] = ['UPDATE t SET n = n + 10 WHERE n < 3', 'DELETE FROM t WHERE n = 99']

test('who has applied the same has the same hash, and an entry that says so changes nothing', async () => {
  await onTwo(async (one, two) => {
    const log = logOf([command(accounts), command(changes), command(['INSERT INTO t (n) VALUES (4) RETURNING *'])])
    await one.apply(log)
    await two.apply(log, [1])
    await two.reopen()
    const payload = one.machine.stateHash()
    assert.deepEqual(two.machine.stateHash(), payload)
    for (const world of [one, two]) {
      await world.apply([hashEntry(4, payload)])
      assert.equal(world.machine.appliedIndex, 4)
      assert.deepEqual(world.divergences, [])
      assert.equal(world.machine.stateHash(), undefined, 'nothing new to compare')
    }
    await one.run(changes)
    assert.notDeepEqual(one.machine.stateHash(), payload)
  })
})

for (const [what, sql] of [
  ['how many rows a statement touched', 'UPDATE t SET n = 99 WHERE id = 1'],
  ['which row came next', 'INSERT INTO t VALUES (50, 7)'],
  ['what was returned', 'UPDATE t SET n = 500 WHERE id = 3'],
  ['whether it failed', 'CREATE UNIQUE INDEX u ON t (n)'],
] as const)
  test(`a database that was changed behind its back is found out by ${what}, with the next hash, and applies nothing more`, async () => {
    await onTwo(async (one, two) => {
      await one.apply(logOf([command(accounts)]))
      await two.apply(logOf([command(accounts)]))
      tamper(two, sql)
      await two.reopen()
      const log = logOf([command(changes), command(['INSERT INTO t (n) VALUES (3) RETURNING (SELECT max(n) FROM t)'])], 2)
      await one.apply(log)
      await two.apply(log)
      const last = hashEntry(4, one.machine.stateHash())
      const behind = logOf([command(['INSERT INTO t (n) VALUES (5)'])], 5)
      for (const world of [one, two]) await world.apply([last, ...behind])
      assert.equal(one.machine.appliedIndex, 5)
      assert.deepEqual(one.divergences, [])
      assert.equal(two.machine.appliedIndex, 3)
      assert.equal(two.divergences.length, 1)
      assert.equal(two.divergences[0]?.index, 3)
      assert.notEqual(two.divergences[0]?.own, two.divergences[0]?.expected)
      await two.apply([last])
      assert.equal(two.machine.appliedIndex, 3, 'it applies nothing more')
      await two.reopen()
      await Promise.resolve()
      assert.equal(two.divergences.length, 2, 'after a restart it still says so')
      await two.apply([last])
      assert.equal(two.machine.appliedIndex, 3)
    })
  })

test('a difference is found by a later hash too, when restarts have made the first one incomparable', async () => {
  await onTwo(async (one, two) => {
    for (const world of [one, two]) await world.apply(logOf([command(accounts)]))
    tamper(two, 'UPDATE t SET n = 99 WHERE id = 1')
    const log = logOf([command(changes), command(['INSERT INTO t (n) VALUES (4)'])], 2)
    await one.apply(log.slice(0, 1))
    const early = hashEntry(4, one.machine.stateHash())
    await one.apply([...log.slice(1), early])
    await two.apply(log)
    await two.reopen() // what it had arrived at behind entry 2 is forgotten
    await two.apply([early])
    assert.deepEqual(two.divergences, [])
    for (const world of [one, two]) await world.run(['INSERT INTO t (n) VALUES (5)'])
    await two.apply([hashEntry(6, one.machine.stateHash())])
    assert.equal(two.divergences.length, 1)
  })
})

test('answers of reads, which may differ for good reasons, do not count', async () => {
  await onTwo(async (one, two) => {
    const log = logOf([command(accounts), command(['PRAGMA freelist_count', 'INSERT INTO t (n) VALUES (9)'], { kind: 'request' })])
    await one.apply(log)
    await two.apply(log.slice(0, 1))
    tamper(two, 'CREATE TABLE u (a); DROP TABLE u')
    await two.apply(log.slice(1))
    assert.notDeepEqual(one.results(2)[0], two.results(2)[0])
    assert.deepEqual(one.machine.stateHash(), two.machine.stateHash())
  })
})

test('a database of a program that kept no hash opens, and takes part again once all have begun anew', async () => {
  await onTwo(async (one, two) => {
    for (const world of [one, two]) await world.apply(logOf([command(accounts)]))
    await two.machine.close()
    tamper(
      two,
      `ALTER TABLE _securesql_state DROP COLUMN state_hash; ALTER TABLE _securesql_state DROP COLUMN divergence; ALTER TABLE _securesql_state DROP COLUMN time_ms; ALTER TABLE _securesql_state DROP COLUMN foreign_keys; ALTER TABLE _securesql_state DROP COLUMN statistics_index; ALTER TABLE _securesql_state DROP COLUMN vacuumed_ms; ALTER TABLE _securesql_state DROP COLUMN load_left_bytes; UPDATE _securesql_state SET format = 1`,
    )
    await two.reopen()
    assert.equal(two.machine.appliedIndex, 1)
    await two.apply([hashEntry(2, one.machine.stateHash())])
    assert.deepEqual(two.divergences, [], 'it has nothing to compare with')
    const begin = two.machine.stateHash()
    assert.deepEqual(decodeHashPayload(begin ?? new Uint8Array()), { kind: 'begin' })
    await one.apply([makeEntry({ index: 2, term: 1, kind: 'noop', payload: new Uint8Array() })])
    for (const world of [one, two]) await world.apply([hashEntry(3, begin), ...logOf([command(changes)], 4)])
    assert.deepEqual(one.machine.stateHash(), two.machine.stateHash())
    tamper(two, 'DELETE FROM t WHERE id = 2')
    for (const world of [one, two]) await world.run(['UPDATE t SET n = 0'])
    await two.apply([hashEntry(6, one.machine.stateHash())])
    assert.equal(two.divergences.length, 1)
  })
})

test('a database of a later format is refused', async () => {
  const world = new TestMachine()
  try {
    await world.machine.close()
    tamper(world, 'UPDATE _securesql_state SET format = 5')
    await assert.rejects(world.reopen(), /another version/)
    tamper(world, 'UPDATE _securesql_state SET format = 4')
    await world.reopen()
  } finally {
    await world.dispose()
  }
})

test('a payload is read back as it was written; what is none is compared with nothing', () => {
  const payload = { kind: 'compare', index: 2 ** 40 + 5, hash: { high: 0xffff_ffff, low: 7 } } as const
  assert.deepEqual(decodeHashPayload(encodeHashPayload(payload)), payload)
  assert.deepEqual(decodeHashPayload(encodeHashPayload({ kind: 'begin' })), { kind: 'begin' })
  for (const bytes of [[], [2], [1, 1], [1, ...Array<number>(16).fill(255)], [2, ...Array<number>(16).fill(0)]])
    assert.equal(decodeHashPayload(new Uint8Array(bytes)), undefined)
})

test('every part of an entry and of its outcome changes the hash, order of statements too, order of rows not', () => {
  const entry = (index: number, term: number, byte: number) => makeEntry({ index, term, kind: 'command', payload: new Uint8Array([byte]) })
  const written = (lastInsertId: bigint, rowsAffected: number) =>
    ({ result: { kind: 'written', lastInsertId, rowsAffected, seconds: Math.random() }, effect: rowsAffected }) as const
  const of = (one: Entry, ...traces: Parameters<HashFold['statement']>[0][]): string => {
    const fold = new HashFold(emptyHash)
    fold.entry(one)
    for (const trace of traces) fold.statement(trace)
    return JSON.stringify(fold.value)
  }
  const base = entry(5, 1, 1)
  const failed = { result: { kind: 'error', message: 'a', seconds: 0 }, effect: 'failed' } as const
  const different = [
    of(base, written(1n, 1)),
    of(entry(6, 1, 1), written(1n, 1)),
    of(entry(5, 2, 1), written(1n, 1)),
    of(entry(5, 1, 2), written(1n, 1)),
    of(entry(5 + 2 ** 32, 1, 1), written(1n, 1)),
    of(base, written(2n, 1)),
    of(base, written(1n + 2n ** 32n, 1)),
    of(base, written(-1n, 1)),
    of(base, written(1n, 2)),
    of(base, failed),
    of(base),
    of(base, written(1n, 1), failed),
    of(base, failed, written(1n, 1)),
  ]
  assert.equal(new Set(different).size, different.length)
  assert.equal(of(base, written(1n, 1)), of(base, written(1n, 1)))
  assert.equal(new HashFold(undefined).value, undefined)
  const rows = [
    [1n],
    [1],
    ['1'],
    ['\0'],
    [''],
    ['\0\0'],
    [null],
    [Buffer.from('1')],
    [1n, 1n],
    ['a', 'b'],
    ['b', 'a'],
    [2n ** 40n],
    [-0],
    [0],
  ]
  assert.equal(new Set(rows.map(hashRow)).size, rows.length)
})

test('hashes are kept for the last thousands of commands', () => {
  const hashes = new RecentHashes()
  for (let index = 1; index <= 70_000; index += 1) hashes.set(index, { high: index, low: 0 })
  assert.deepEqual(hashes.get(70_000), { high: 70_000, low: 0 })
  assert.deepEqual(hashes.get(5_000), { high: 5_000, low: 0 })
  assert.equal(hashes.get(100), undefined)
  assert.equal(hashes.newest, 70_000)
})
