// The same log, applied in groups of one, of many and of random sizes, with and without restarts in between, in place and by a thread of its own, must give the same
// results, the same database and the same state hash.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import type { Command } from '../command/command.ts'
import { command, endOf, type End, type ShortStatement } from './test-machine.ts'

const schema: readonly ShortStatement[] = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER UNIQUE, s TEXT)',
  'CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, n UNIQUE ON CONFLICT ROLLBACK)',
  'CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID',
  'CREATE VIRTUAL TABLE f5 USING fts5(s)',
  'CREATE VIRTUAL TABLE f4 USING fts4(s)',
  'CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)',
  "CREATE TRIGGER guard BEFORE INSERT ON w WHEN new.v = 13 BEGIN SELECT RAISE(ROLLBACK, 'thirteen'); END",
  'CREATE TRIGGER copy AFTER INSERT ON t BEGIN INSERT INTO a (n) VALUES (new.n); END',
  'CREATE TABLE parent (id INTEGER PRIMARY KEY)',
  'CREATE TABLE child (p REFERENCES parent)',
  'CREATE TABLE late (p REFERENCES parent DEFERRABLE INITIALLY DEFERRED)',
]

const small = fc.integer({ min: 0, max: 15 })
const word = fc.constantFrom('red', 'green', 'blue', 'red green', 'blue blue red')
const statement: fc.Arbitrary<ShortStatement> = fc.oneof(
  fc.tuple(small, word).map(([n, s]): ShortStatement => ['INSERT INTO t (n, s) VALUES (?, ?)', n, s]),
  fc.tuple(small, word).map(([n, s]): ShortStatement => ['INSERT OR REPLACE INTO t (n, s) VALUES (?, ?) RETURNING id, n', n, s]),
  fc.tuple(small, small).map(([n, m]): ShortStatement => ['INSERT OR FAIL INTO t (n) VALUES (?), (?)', n, m]),
  fc.tuple(small, small).map(([n, m]): ShortStatement => ['INSERT OR ROLLBACK INTO t (n) VALUES (?), (?)', n, m]),
  small.map((n): ShortStatement => ['INSERT INTO a (n) VALUES (?)', n]),
  fc.tuple(word, small).map(([k, v]): ShortStatement => ['INSERT INTO w VALUES (?, ?) ON CONFLICT DO UPDATE SET v = excluded.v', k, v]),
  small.map((n): ShortStatement => ['UPDATE t SET n = n + 1 WHERE n = ?', n]),
  small.map((n): ShortStatement => ['DELETE FROM t WHERE n > ?', n]),
  word.map((s): ShortStatement => ['INSERT INTO f5 VALUES (?)', s]),
  word.map((s): ShortStatement => ['INSERT INTO f4 VALUES (?)', s]),
  small.map((n): ShortStatement => ['DELETE FROM f5 WHERE rowid = ?', n]),
  small.map((n): ShortStatement => ['DELETE FROM f4 WHERE rowid = ?', n]),
  fc.constantFrom<ShortStatement>(
    "INSERT INTO f5(f5) VALUES ('optimize')",
    "INSERT INTO f4(f4) VALUES ('optimize')",
    "INSERT INTO f5(f5) VALUES ('integrity-check')",
  ),
  fc.tuple(small, small).map(([id, x]): ShortStatement => ['INSERT INTO r VALUES (?, ?, ?)', id, x, x + 1]),
  small.map((id): ShortStatement => ['DELETE FROM r WHERE id = ?', id]),
  small.map((id): ShortStatement => ['INSERT INTO parent VALUES (?)', id]),
  small.map((id): ShortStatement => ['INSERT INTO child VALUES (?)', id]),
  small.map((id): ShortStatement => ['INSERT INTO late VALUES (?)', id]),
  small.map((id): ShortStatement => ['DELETE FROM parent WHERE id = ?', id]),
  small.map((n): ShortStatement => [`CREATE TABLE IF NOT EXISTS made_${n % 3} (v); INSERT INTO made_${n % 3} VALUES (?)`, n]),
  small.map((n): ShortStatement => `DROP TABLE IF EXISTS made_${n % 3}`),
  small.map((n): ShortStatement => `ALTER TABLE made_${n % 3} ADD COLUMN c${n}`),
  fc.constantFrom<ShortStatement>(
    'SELECT count(*), max(n) FROM t',
    'INSERT INTO nowhere VALUES (1)',
    'nonsense',
    'ANALYZE',
    'REINDEX',
    'SELECT * FROM made_1',
    'PRAGMA user_version = 7',
  ),
)
const anyCommand: fc.Arbitrary<Command> = fc
  .record({
    statements: fc.array(statement, { minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom('execute' as const, 'request' as const),
    transaction: fc.boolean(),
  })
  .map(({ statements, kind, transaction }) => command(statements, { kind, transaction }))

function applied(
  commands: readonly Command[],
  sizes: readonly number[],
  { restarts, ...options }: { foreignKeys: boolean; restarts: boolean; elsewhere?: 'threads' },
): Promise<End> {
  return endOf({ commands: [command(schema), ...commands], sizes, restarts }, options)
}

for (const foreignKeys of [false, true]) {
  test(`results and content never depend on the borders of groups nor on restarts nor on threads (foreign keys ${foreignKeys})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyCommand, { minLength: 5, maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }),
        async (commands, sizes) => {
          const one = await applied(commands, [1], { foreignKeys, restarts: false })
          assert.deepEqual(await applied(commands, [64], { foreignKeys, restarts: false }), one)
          assert.deepEqual(await applied(commands, sizes, { foreignKeys, restarts: false }), one)
          assert.deepEqual(await applied(commands, sizes, { foreignKeys, restarts: true }), one)
          assert.deepEqual(await applied(commands, sizes, { foreignKeys, restarts: false, elsewhere: 'threads' }), one)
        },
      ),
      { numRuns: 10, interruptAfterTimeLimit: 60_000 },
    )
  })
}

test('a deferred constraint holds at the end of each entry, not at the end of a group that has repaired it', async () => {
  const commands = [command(['INSERT INTO late VALUES (5)']), command(['INSERT INTO parent VALUES (5)'])]
  const options = { foreignKeys: true, restarts: false }
  const one = await applied(commands, [1], options)
  assert.match(inspect(one.results[1], { depth: 5 }), /FOREIGN KEY constraint failed/)
  assert.deepEqual(await applied(commands, [64], options), one)
  assert.deepEqual(await applied(commands, [1, 2], options), one)
})

test('a change of the schema that fails half-way leaves nothing in the memory of a connection', async () => {
  const commands = [
    command(["INSERT INTO t VALUES (1, 1, 'red')"]),
    command(['INSERT INTO parent VALUES (1)', 'ALTER TABLE t DROP COLUMN s', 'INSERT INTO parent VALUES (2)']),
    command(['UPDATE t SET n = n']),
  ]
  const trigger = "CREATE TRIGGER tells AFTER UPDATE ON t WHEN old.s = 'red' BEGIN INSERT INTO w VALUES (old.s, 1); END"
  const one = await applied([command([trigger]), ...commands], [1], { foreignKeys: false, restarts: false })
  assert.match(inspect(one.results[3], { depth: 5 }), /error in trigger tells after drop column/)
  assert.doesNotMatch(inspect(one.results[4], { depth: 5 }), /error/)
  assert.deepEqual(await applied([command([trigger]), ...commands], [2, 64], { foreignKeys: false, restarts: false }), one)
})

const rows = (count: number, table: string, a = 'i'): string =>
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) INSERT INTO ${table} SELECT ${a}, i FROM n`
/** In which order a join goes through its tables hangs on their sizes, and with it which row gets which rowid. */
const join = 'INSERT INTO joined (a, b) SELECT few.b, many.b FROM few JOIN many ON few.a = many.a'
const measured = [
  'CREATE TABLE few (a, b)',
  'CREATE INDEX few_a ON few (a)',
  'CREATE TABLE many (a, b)',
  'CREATE INDEX many_a ON many (a)',
  'CREATE TABLE joined (id INTEGER PRIMARY KEY, a, b)',
  'INSERT INTO few VALUES (1, 1)',
  rows(5000, 'many', '5001 - i'),
]
const changes: readonly (readonly [title: string, ...statements: string[]])[] = [
  [
    'a table is made anew under the name of one that was renamed',
    'ALTER TABLE few RENAME TO other',
    'CREATE TABLE few (a, b)',
    'CREATE INDEX few_b ON few (a)',
    'DROP TABLE other',
  ],
  ['an index is dropped and another one made', 'DROP INDEX few_a', 'CREATE INDEX few_b ON few (a)'],
]
for (const [title, ...statements] of changes) {
  test(`what SQLite knows of the sizes of tables is the same for every connection: ${title}`, async () => {
    const told = command(['SELECT a, b FROM joined'], { kind: 'request' })
    const each = [...statements, rows(50, 'few'), join].map((sql) => command([sql]))
    const inOne = [command(statements, { transaction: true }), command([rows(50, 'few'), join])]
    for (const history of [each, inOne]) {
      const commands = [command(measured), command(['ANALYZE']), ...history, told]
      const options = { foreignKeys: false, restarts: false }
      const one = await applied(commands, [1], options)
      assert.doesNotMatch(inspect(one.results, { depth: 5 }), /error/)
      assert.deepEqual(await applied(commands, [1], { ...options, restarts: true }), one)
      assert.deepEqual(await applied(commands, [64], options), one)
      assert.deepEqual(await applied(commands, [3], { ...options, elsewhere: 'threads' }), one)
    }
  })
}

test('an error that names what guards a connection names it alike on every connection', async () => {
  const commands = [
    command([
      'CREATE TABLE told (a, b, c)',
      'CREATE INDEX told_a ON told (date(a))',
      'CREATE TABLE other (a)',
      'INSERT INTO other VALUES (0)',
    ]),
    // It fits no key, so nothing can be prepared that writes into the table: the guard sees to all of its columns.
    command(['CREATE TABLE child_of_told (a REFERENCES told (a))']),
    command(['INSERT INTO other VALUES (1)']),
    command(['ALTER TABLE told DROP COLUMN c']),
  ]
  const options = { foreignKeys: true, restarts: false }
  const one = await applied(commands, [1], options)
  assert.match(inspect(one.results.at(-1)), /error in/)
  assert.deepEqual(await applied(commands, [1], { ...options, restarts: true }), one)
})
