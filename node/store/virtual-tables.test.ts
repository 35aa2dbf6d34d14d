// What SQLite keeps in memory for full-text tables may meet a schema that was read anew, or a table that was taken back: then a later SAVEPOINT or the COMMIT fails, for
// everything in the transaction. Each of these histories made nodes stop, all of them alike, again and again.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import type { Command } from '../command/command.ts'
import { command, endOf, failed, onMachine, type End, type ShortStatement, type TestMachine } from './test-machine.ts'

interface History {
  readonly title: string
  readonly schema: readonly ShortStatement[]
  readonly commands: readonly Command[]
}

const together = { transaction: true }
const overflow = 'SELECT abs(-9223372036854775808)'
const commit = command(['CREATE TABLE after (a)'])
const filled = (kind: string): readonly ShortStatement[] => [
  `CREATE VIRTUAL TABLE f USING ${kind}(a, b)`,
  ...Array.from({ length: 20 }, (_, at): ShortStatement => `INSERT INTO f (a, b) VALUES ('red ${at}', 'green')`),
  'CREATE TABLE t (a)',
]

const histories: readonly History[] = ['fts3', 'fts4', 'fts5'].flatMap((kind) => [
  {
    title: `a migration that makes and fills an ${kind} table fails`,
    schema: [],
    commands: [command([`CREATE VIRTUAL TABLE f USING ${kind}(a)`, "INSERT INTO f VALUES ('red')", overflow], together), commit],
  },
  {
    title: `an ${kind} table is made, filled and dropped in a command that fails`,
    schema: filled(kind),
    commands: [
      command([`CREATE VIRTUAL TABLE g USING ${kind}(a)`, "INSERT INTO g VALUES ('red')", 'ALTER TABLE t RENAME TO u', 'DROP TABLE g', overflow], together), // prettier-ignore
      command(["INSERT INTO f (a) VALUES ('blue')"]),
      commit,
    ],
  },
  {
    title: `an ${kind} table is optimized, then a command fails, then it is dropped`,
    schema: filled(kind),
    commands: [
      command(["INSERT INTO f (f) VALUES ('optimize')"]),
      command(['CREATE TABLE u (a)', overflow], together),
      command(['DROP TABLE f']),
      commit,
    ],
  },
  {
    title: `an ${kind} table is optimized, another is altered, and it is dropped`,
    schema: filled(kind),
    commands: [command(["INSERT INTO f (f) VALUES ('optimize')", 'ALTER TABLE t ADD COLUMN z', 'DROP TABLE f'], together), commit],
  },
  {
    title: `an ${kind} table is merged by a trigger, another is altered, and it is renamed`,
    schema: [...filled(kind), "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO f (f) VALUES ('optimize'); END"],
    commands: [command(['INSERT INTO t VALUES (1)', 'ALTER TABLE t ADD COLUMN z', 'ALTER TABLE f RENAME TO g'], together), commit],
  },
  {
    title: `an ${kind} table is filled in a text of many statements that fails`,
    schema: filled(kind),
    commands: [
      command([`CREATE VIRTUAL TABLE g USING ${kind}(a); INSERT INTO g VALUES ('red'); ALTER TABLE t RENAME TO u; ${overflow}`]),
      command(['DROP TABLE IF EXISTS g']),
      commit,
    ],
  },
])

const own: readonly History[] = [
  ...['fts4', 'fts5'].map((kind) => ({
    title: `an ${kind} table is renamed, and a table with a trigger would be its own`,
    schema: [`CREATE VIRTUAL TABLE g USING ${kind}(a, content='')`, 'CREATE TABLE f_content (a)', 'CREATE TABLE t (a)'],
    commands: [
      command(['CREATE TRIGGER r AFTER INSERT ON f_content BEGIN INSERT INTO t VALUES (new.a); END', 'INSERT INTO f_content VALUES (1)']),
      command(['INSERT INTO t VALUES (2)', 'ALTER TABLE g RENAME TO f', 'INSERT INTO t VALUES (3)']),
      command(["INSERT INTO g VALUES ('red')", 'INSERT INTO f_content VALUES (4)', 'ANALYZE']),
      command(['SELECT * FROM t'], { kind: 'request' }),
    ],
  })),
  {
    title: 'a virtual table is renamed, and a view with a trigger has the name of one of its own',
    schema: ["CREATE VIRTUAL TABLE g USING fts5(a, content='')", 'CREATE TABLE t (a)', 'CREATE VIEW F_Content AS SELECT * FROM t'],
    commands: [
      command(['CREATE TRIGGER r INSTEAD OF INSERT ON f_content BEGIN INSERT INTO t VALUES (new.a); END']),
      command(['INSERT INTO t VALUES (1)', 'ALTER TABLE g RENAME TO f', 'INSERT INTO f_content VALUES (2)']),
      command(["CREATE VIRTUAL TABLE f USING fts5(a, content='')", 'INSERT INTO f_content VALUES (3)']),
      command(["CREATE VIRTUAL TABLE f_c USING fts5(a, content='')", "INSERT INTO f_c VALUES ('red')", 'INSERT INTO f_content VALUES (4)']),
    ],
  },
  ...[
    "INSERT INTO f (a) VALUES ('red'), ('green')",
    "INSERT INTO f (a) VALUES ('red'), ('green'), (abs(-9223372036854775808))",
    "INSERT OR ROLLBACK INTO f (rowid, a) VALUES (NULL, 'red'), (NULL, 'green'), (9223372036854775806, 'blue')",
  ].map((sql) => ({
    title: `rows behind the last rowid: ${sql}`,
    schema: ['CREATE VIRTUAL TABLE f USING fts5(a)', 'CREATE TABLE t (a)'],
    commands: [
      command(["INSERT INTO f (rowid, a) VALUES (9223372036854775806, 'red')"]),
      command([sql, 'INSERT INTO t SELECT last_insert_rowid()']),
      command([sql, 'DELETE FROM t WHERE a = 0'], together),
      command(['DELETE FROM t WHERE a = 1']),
    ],
  })),
  {
    title: 'a contentless table that can delete is given rows without a word',
    schema: ["CREATE VIRTUAL TABLE f USING fts5(a, content='', contentless_delete=1)", 'CREATE TABLE t (a)'],
    commands: [
      command(['INSERT INTO f DEFAULT VALUES', "INSERT INTO f VALUES ('')"]),
      command(["INSERT INTO f VALUES ('red')", 'ALTER TABLE t ADD COLUMN b', 'INSERT INTO f DEFAULT VALUES'], together),
      command(["INSERT INTO f VALUES ('blue')", 'DELETE FROM f WHERE rowid = 2', 'SELECT last_insert_rowid(), changes()'], {
        kind: 'request',
      }),
      command(["INSERT INTO f VALUES ('green')"]),
    ],
  },
]

const automerge = (name: string, ...commands: readonly Command[]): History => ({
  title: `automerge of an fts4 table: ${name}`,
  schema: ['CREATE VIRTUAL TABLE f USING fts4(a)', 'CREATE TABLE t (a)', 'CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO f (f) VALUES (new.a); END'], // prettier-ignore
  commands: [
    // What guards the tables is made; where it is taken back, the schema is read anew and all is forgotten.
    command(["INSERT INTO f (a) VALUES ('red')", 'INSERT INTO t VALUES (NULL)']),
    ...commands,
    ...Array.from({ length: 20 }, (_, k) =>
      command([
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
         INSERT INTO f (a) SELECT 'w' || (i * ${k + 1}) || ' x' || (i * 7) || ' red green blue' || i || hex(i * ${k + 1}) FROM n`,
      ]),
    ),
  ],
})
const automerges: readonly History[] = [
  automerge('set by an expression', command(["INSERT INTO f (f) VALUES ('auto' || 'merge=2')"])),
  automerge('set by a trigger', command([['INSERT INTO t VALUES (?)', 'automerge=2']])),
  automerge(
    'set by a statement that fails',
    command([
      "INSERT INTO f (f) SELECT CASE a WHEN 1 THEN 'auto' || 'merge=2' ELSE abs(a) END FROM (SELECT 1 AS a UNION ALL SELECT -9223372036854775807 - 1)",
    ]),
  ),
  automerge('set in a command that fails', command([['INSERT INTO t VALUES (?)', 'automerge=2'], overflow], together)),
]

function applied({ schema, commands }: Pick<History, 'schema' | 'commands'>, sizes: readonly number[], restarts = false): Promise<End> {
  return endOf({ schema, commands, sizes, restarts })
}

describe('virtual tables stop no node, and no border of a group can be told from results', () => {
  for (const history of [...histories, ...own, ...automerges]) {
    test(history.title, async () => {
      const one = await applied(history, [1])
      assert.deepEqual(await applied(history, [64]), one)
      assert.deepEqual(await applied(history, [1], true), one)
      assert.deepEqual(await applied(history, [2]), one)
    })
  }

  test('what failed is gone, what stands for itself stays', () =>
    onMachine(async (world) => {
      await world.run(filled('fts5'))
      const results = await world.run(["INSERT INTO f (a) VALUES ('gone')", 'INSERT INTO t VALUES (1)', overflow], together)
      assert.deepEqual(results.at(-1), failed('integer overflow'))
      await world.run(["INSERT INTO f (a) VALUES ('kept')", overflow, 'INSERT INTO t VALUES (2)'])
      assert.deepEqual(world.rows("SELECT a FROM f WHERE f MATCH 'gone OR kept'"), [['kept']])
      assert.deepEqual(world.rows('SELECT a FROM t'), [[2]])
    }))

  test('any history of them', async () => {
    const kind = fc.constantFrom(
      'fts3(a, b)',
      'fts4(a, b)',
      'fts5(a, b)',
      "fts4(a, b, content='')",
      "fts5(a, b, content='')",
      'rtree(a, b, c)',
    )
    const name = fc.constantFrom('f', 'g', 'h')
    const statement: fc.Arbitrary<string> = fc.oneof(
      fc.tuple(name, kind).map(([table, module]) => `CREATE VIRTUAL TABLE ${table} USING ${module}`),
      name.map((table) => `INSERT INTO ${table} (a, b) VALUES ('1 red', '2 green')`),
      name.map((table) => `INSERT INTO ${table} (a, b) VALUES ('1 red', '2 green'); DROP TABLE ${table}`),
      fc.tuple(name, fc.constantFrom('optimize', 'rebuild', 'merge=4,2', 'integrity-check')).map(([table, word]) => `INSERT INTO ${table} (${table}) VALUES ('${word}')`), // prettier-ignore
      name.map((table) => `DELETE FROM ${table}`),
      name.map((table) => `UPDATE ${table} SET a = '3 blue'`),
      fc.tuple(name, name).map(([table, other]) => `ALTER TABLE ${table} RENAME TO ${other}`),
      name.map((table) => `DROP TABLE ${table}`),
      fc.constantFrom('CREATE TABLE t (a)', 'DROP TABLE t', 'ALTER TABLE t ADD COLUMN b', 'ALTER TABLE t RENAME TO u', 'INSERT INTO t (a) VALUES (1)', 'INSERT OR ROLLBACK INTO t (a) VALUES (abs(-9223372036854775808))', overflow), // prettier-ignore
    )
    const anyCommand = fc
      .tuple(fc.array(statement, { minLength: 1, maxLength: 5 }), fc.boolean())
      .map(([statements, transaction]) => command(statements, { transaction }))
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyCommand, { minLength: 2, maxLength: 14 }),
        fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 4 }),
        async (commands, sizes) => {
          const history = { schema: ['CREATE TABLE t (a)', 'CREATE VIRTUAL TABLE f USING fts4(a, b)', "INSERT INTO f VALUES ('x', 'y')"], commands } // prettier-ignore
          const one = await applied(history, [1])
          assert.deepEqual(await applied(history, [64]), one)
          assert.deepEqual(await applied(history, sizes), one)
          assert.deepEqual(await applied(history, sizes, true), one)
        },
      ),
      { numRuns: 40, interruptAfterTimeLimit: 60_000 },
    )
  })
})

/** What no statement that the gate lets through can do, but a file that is loaded may bring along. */
async function changeFile(world: TestMachine, sql: string): Promise<void> {
  await world.machine.close()
  const database = new Database(world.path)
  database.unsafeMode(true)
  database.pragma('writable_schema = ON')
  database.exec(sql)
  database.close()
  await world.reopen()
}

test('what rolls back behind an insert that a damaged index cannot take stops no node', () =>
  onMachine(async (world) => {
    await world.run([
      'CREATE TABLE w (k PRIMARY KEY) WITHOUT ROWID',
      'INSERT INTO w VALUES (1)',
      "CREATE VIRTUAL TABLE f USING fts4(a, content='')",
    ])
    // At the sixteenth, all are to be merged.
    await world.run(Array.from({ length: 16 }, (_, at): ShortStatement => ['INSERT INTO f (docid, a) VALUES (?, ?)', at, `red ${at}`]))
    await changeFile(world, "UPDATE f_segdir SET root = x'00ffffffffffffffffff'")
    const text = "INSERT INTO f (docid, a) VALUES (100, 'blue'); INSERT OR ROLLBACK INTO w VALUES (1)"
    const [first, second, third, ...more] = await world.run(['INSERT INTO w VALUES (2)', text, 'INSERT INTO w VALUES (3)'])
    assert.deepEqual([second, more], [failed('database disk image is malformed'), []])
    assert.doesNotMatch(inspect([first, third]), /error/)
    assert.deepEqual(await world.run([text], { transaction: true }), [failed('UNIQUE constraint failed: w.k')])
    assert.deepEqual(world.rows('SELECT k FROM w'), [[1], [2], [3]])
  }))

test('a virtual table is known by what it is, however its text in the schema is spelled', () =>
  onMachine(async (world) => {
    await world.run(filled('fts4'))
    await changeFile(world, "UPDATE sqlite_schema SET sql = 'create/**/virtual table f using fts4(a, b)' WHERE name = 'f'")
    const results = await world.run(["INSERT INTO f (f) VALUES ('optimize')", 'ALTER TABLE t ADD COLUMN z', 'DROP TABLE f'], together)
    assert.doesNotMatch(inspect(results), /error/)
  }))

test('only a change of the schema that has begun takes the whole transaction back', () =>
  onMachine(async (world) => {
    await world.run([
      'CREATE TABLE t (a, x)',
      "CREATE TRIGGER tells AFTER UPDATE ON t WHEN old.x = 'red' BEGIN SELECT old.x; END",
      'INSERT INTO t (a) VALUES (1), (2)',
    ])
    const before = world.machine.schema
    const results = await world.run(['CREATE TABLE t (a)', 'DROP TABLE nowhere', 'ALTER TABLE t DROP COLUMN nothing', 'nonsense'])
    assert(results.every((result) => /error/.test(inspect(result))))
    assert.equal(world.machine.schema, before)
    assert.match(inspect(await world.run(['ALTER TABLE t DROP COLUMN x'])), /after drop column/)
    assert.notEqual(world.machine.schema, before)
  }))

test('a foreign key that refers to a table of a full-text table stops no node', async () => {
  const full = (name: string): string => `CREATE VIRTUAL TABLE ${name} USING fts5(a)`
  const insert = "INSERT INTO f VALUES ('red')"
  for (const [refused, ...statements] of [
    [1, 'CREATE TABLE u (a REFERENCES F_Config (a))', full('f'), 'INSERT INTO u VALUES (NULL)'],
    [1, full('f'), 'CREATE TABLE u (a REFERENCES f_data (a))', insert],
    [2, full('g'), 'CREATE TABLE u (a REFERENCES f_docsize (a))', 'ALTER TABLE g RENAME TO f', "INSERT INTO g VALUES ('red')"],
    [2, full('f'), 'CREATE TABLE u (a)', 'ALTER TABLE u ADD COLUMN b REFERENCES f_idx (a)', insert],
    [-1, full('f'), 'CREATE TABLE f_notes (a PRIMARY KEY)', 'CREATE TABLE u (a REFERENCES f_notes (a))', insert],
  ] as const) {
    for (const foreignKeys of [true, false]) {
      await onMachine(
        async (world) => {
          for (const [at, sql] of statements.entries()) {
            const results = inspect(await world.run([sql]))
            assert.equal(/object name reserved|vtable constructor failed/.test(results), at === refused, sql)
            await world.reopen()
          }
        },
        { foreignKeys },
      )
    }
  }
})
