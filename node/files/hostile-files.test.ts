// Files that were built, damaged or chosen to hurt whoever opens them. Each is refused whole, with a reason, or comes out as a sound database that a node can go on from.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import { valueBytesMax } from '../command/result-limits.ts'
import { FileInbox } from './file-inbox.ts'
import { rewriteFile } from './file-rewriting.ts'

let directory = ''
let inbox: FileInbox
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'hostile-files-'))
  inbox = new FileInbox({ directory: join(directory, 'uploads'), readFreeBytes: () => Number.MAX_SAFE_INTEGER })
})
after(() => rmSync(directory, { recursive: true }))

type Found = { readonly refused: string } | { readonly sound: Buffer }

/** In this process: starting another one for each file would take minutes. */
function offer(bytes: Uint8Array): Found {
  const path = join(directory, 'given.sqlite')
  const output = join(directory, 'sound.sqlite')
  writeFileSync(path, bytes)
  rmSync(output, { force: true })
  const found = rewriteFile({ path, output })
  if (found.kind !== 'sound') return { refused: `invalid SQLite data: ${found.reason}` }
  const sound = readFileSync(output)
  assert.deepEqual([sound.length, createHash('sha256').update(sound).digest('hex')], [found.bytes, found.hash])
  return { sound }
}

/** As a client's request does. */
async function offerToInbox(bytes: Uint8Array): Promise<Found> {
  const begun = inbox.begin()
  assert(begun.ok)
  const file = begun.value
  try {
    for (let at = 0; at < bytes.length; at += 100_000) assert((await file.write(bytes.subarray(at, at + 100_000))).ok)
    const examined = await file.examine({ form: 'database', isAbandoned: () => false })
    if (!examined.ok) {
      assert.equal(examined.problem.code, 'file_refused')
      return { refused: examined.problem.message }
    }
    const sound = Buffer.from(await examined.value.read(0, examined.value.bytes))
    assert.deepEqual([sound.length, createHash('sha256').update(sound).digest('hex')], [examined.value.bytes, examined.value.hash])
    return { sound }
  } finally {
    await file.discard()
    assert(!existsSync(join(directory, 'uploads')), 'nothing is left of it')
  }
}

/** A database as a client may send it. */
function make(build: (database: Database.Database) => void): Buffer {
  const path = join(directory, 'built.sqlite')
  rmSync(path, { force: true })
  const database = new Database(path)
  build(database)
  database.close()
  return readFileSync(path)
}

/** The same with rows of the schema changed behind SQLite's back. */
function withSchema(sql: string, lie: string): Buffer {
  return make((database) => {
    database.exec(sql)
    database.unsafeMode(true)
    database.pragma('writable_schema = ON')
    database.exec(lie)
  })
}

function inspect<Value>(bytes: Buffer, body: (database: Database.Database) => Value): Value {
  const path = join(directory, 'inspected.sqlite')
  writeFileSync(path, bytes)
  const database = new Database(path)
  try {
    return body(database)
  } finally {
    database.close()
  }
}

const rows =
  "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t(b); WITH RECURSIVE s(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM s WHERE n < 2000) INSERT INTO t SELECT n, printf('%050d', n * 7919 % 2000) FROM s;"
const ordinary = (): Buffer => make((database) => database.exec(rows))

function assertRefused(bytes: Uint8Array, pattern: RegExp): void {
  expectRefused(offer(bytes), pattern)
}

function expectRefused(found: Found, pattern: RegExp): void {
  assert('refused' in found, 'it is refused')
  assert.match(found.refused, /^invalid SQLite data: /)
  assert.match(found.refused, pattern)
}

function soundOf(bytes: Uint8Array): Buffer {
  const found = offer(bytes)
  assert('sound' in found, 'refused' in found ? found.refused : '')
  return found.sound
}

test('what is no SQLite file, or not all of one, is refused', () => {
  const whole = ordinary()
  assertRefused(Buffer.concat([Buffer.from('SQLite format 3\0')]), /not a SQLite 3 file/)
  assertRefused(Buffer.concat([Buffer.from('SQLite format 2\0'), whole.subarray(16)]), /not a SQLite 3 file/)
  assertRefused(whole.subarray(0, whole.length - 100), /not whole/)
  assertRefused(whole.subarray(0, whole.length - 4096), /malformed/)
  assertRefused(Buffer.concat([whole.subarray(0, 100), Buffer.alloc(whole.length - 100)]), /./)
  for (const [offset, value, pattern] of [
    [16, 0x03, /page size/],
    [18, 9, /format/],
    [21, 0, /header/],
    [20, 255, /./],
    [56, 7, /./],
  ] as const) {
    const damaged = Buffer.from(whole)
    damaged[offset] = value
    const found = offer(damaged)
    if ('refused' in found) assert.match(found.refused, pattern)
  }
})

test('bytes that were flipped anywhere are refused, or the content is what it was', () => {
  const whole = ordinary()
  const content = (bytes: Buffer): unknown =>
    inspect(bytes, (database) => database.prepare('SELECT count(*), sum(a), max(b) FROM t').raw().get())
  let refused = 0
  // Headers of b-tree pages and cells of table and index alike; the schema on page 1.
  const offsets = [
    101,
    103,
    105,
    110,
    2000,
    3900,
    4096,
    4096 + 3,
    4096 + 8,
    8192,
    8192 + 5,
    12288 + 1,
    whole.length - 4096,
    whole.length - 4090,
    whole.length - 20,
  ]
  for (const offset of offsets) {
    const damaged = Buffer.from(whole)
    damaged[offset] = (damaged[offset] ?? 0) ^ 0xff
    const found = offer(damaged)
    if ('refused' in found) refused += 1
    else
      assert.equal(
        inspect(found.sound, (database) => database.pragma('integrity_check', { simple: true })),
        'ok',
      )
  }
  assert(refused >= 10, `${refused} of ${offsets.length} refused`)
  assert.deepEqual(content(soundOf(whole)), content(whole))
})

test('an index that does not fit its table is refused: every node would end at its first use', () => {
  const lying = withSchema(rows, "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(b DESC)' WHERE name = 'i'")
  assertRefused(lying, /index i/)
  const missing = make((database) => {
    database.exec(
      'CREATE TABLE t (a, b); CREATE TABLE u (a, b); CREATE INDEX i ON t(a); INSERT INTO t VALUES (1, 2); INSERT INTO u VALUES (3, 4)',
    )
    database.unsafeMode(true)
    database.pragma('writable_schema = ON')
    database.exec("UPDATE sqlite_schema SET tbl_name = 'u', sql = 'CREATE INDEX i ON u(a)' WHERE name = 'i'")
  })
  assertRefused(missing, /./)
})

test('a schema that lies about its pages is refused', () => {
  const two = 'CREATE TABLE a (x); CREATE TABLE b (x); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2);'
  for (const lie of [
    "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'a') WHERE name = 'b'",
    "UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'b'",
    "UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'b'",
    "UPDATE sqlite_schema SET sql = 'CREATE TABLE b (x' WHERE name = 'b'",
    "UPDATE sqlite_schema SET sql = 'SELECT 1' WHERE name = 'b'",
    "UPDATE sqlite_schema SET sql = NULL WHERE name = 'b'",
    "UPDATE sqlite_schema SET type = 'hat' WHERE name = 'b'",
    "UPDATE sqlite_schema SET sql = 'CREATE TABLE b (x); DROP TABLE a' WHERE name = 'b'",
    "UPDATE sqlite_schema SET name = '_securesql_state', tbl_name = '_securesql_state', sql = 'CREATE TABLE _securesql_state (x)' WHERE name = 'b'",
    "UPDATE sqlite_schema SET name = 'sqlite_mine', tbl_name = 'sqlite_mine' WHERE name = 'b'",
    "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING csv(filename=''/etc/passwd'')')",
    "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING dbstat(main)')",
    "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING sqlite_dbpage')",
    "INSERT INTO sqlite_schema VALUES ('view', 'v' || char(0) || 'x', 'v', 0, 'CREATE VIEW v AS SELECT 1')",
  ])
    assertRefused(withSchema(two, lie), /./)
})

test('views that take long to be written out are refused, as where they are made', () => {
  const chain = (length: number) => Array.from({ length }, (_, n) => `CREATE VIEW v${n} AS SELECT * FROM v${n + 1};`).join('')
  assertRefused(
    make((database) => database.exec(`${chain(600)} CREATE TABLE v600 (a)`)),
    /views of views/,
  )
  soundOf(make((database) => database.exec(`${chain(100)} CREATE TABLE v100 (a)`)))
})

test('what the gate lets nobody make is refused in a file too', () => {
  for (const sql of [
    'CREATE TABLE _securesql_state (a)',
    'CREATE TABLE t (a); CREATE TRIGGER _SecureSQL_x AFTER INSERT ON t BEGIN SELECT 1; END',
    "CREATE TABLE t (a); CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT load_extension('/tmp/x.so'); END",
    'CREATE VIEW v AS SELECT * FROM pragma_function_list',
    'CREATE VIEW v AS SELECT * FROM dbstat',
    "CREATE TABLE t (a); CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO sqlite_sequence VALUES ('t', 9223372036854775807); END",
    "CREATE VIEW v AS SELECT writefile('/tmp/x', 'y')",
    'CREATE TABLE t (a DEFAULT (sqlite_version()))',
  ])
    assertRefused(
      make((database) => database.exec(sql)),
      /./,
    )
})

test('functions that are not there, and such that only some connections know, do no harm', () => {
  // A trigger and a view that nobody can use are the owner's business: using them is an answer, the same on every node.
  const harmless = soundOf(
    make((database) =>
      database.exec(
        'CREATE TABLE t (a); CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT nofunction(new.a); END; CREATE VIEW v AS SELECT nofunction(a) FROM t',
      ),
    ),
  )
  assert.throws(() => inspect(harmless, (database) => database.exec('INSERT INTO t VALUES (1)')), /no such function/)
  // An index that cannot be computed makes its table unusable.
  const indexed = make((database) => {
    database.function('nofunction', { deterministic: true }, (value) => value)
    database.exec('CREATE TABLE t (a); CREATE INDEX i ON t(nofunction(a)); INSERT INTO t VALUES (1)')
  })
  assertRefused(indexed, /nofunction/)
  const collated = withSchema(
    'CREATE TABLE t (a); INSERT INTO t VALUES (1)',
    "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a COLLATE nowhere PRIMARY KEY)' WHERE name = 't'",
  )
  assertRefused(collated, /./)
})

test('a value larger than any that a client could write is refused, wherever it is stored; the largest that is allowed is loaded', () => {
  const value = (bytes: number, table: string): Buffer =>
    make((database) => database.exec(`CREATE TABLE ${table}; INSERT INTO t VALUES (1, zeroblob(${bytes}))`))
  const tables = [
    't (id INTEGER PRIMARY KEY, b BLOB)',
    't (id INTEGER PRIMARY KEY, b BLOB) WITHOUT ROWID',
    't (id INTEGER PRIMARY KEY, "odd ""name" BLOB)',
  ]
  for (const table of tables) {
    const found = offer(value(valueBytesMax + 1, table))
    assert('refused' in found)
    assert.match(found.refused, /"t" holds a value of 16777217 bytes/)
    assert('sound' in offer(value(valueBytesMax, table)))
  }
})

test('a row at which SQLite would begin to choose at random, and a sequence that is used up, are refused', () => {
  assertRefused(
    make((database) => database.exec('CREATE TABLE t (a); INSERT INTO t(rowid, a) VALUES (9223372036854775807, 1)')),
    /rowid 9223372036854775807/,
  )
  assertRefused(
    make((database) =>
      database.exec('CREATE TABLE t (rowid TEXT, oid TEXT, _rowid_ INTEGER PRIMARY KEY); INSERT INTO t VALUES (1, 1, 9223372036854775807)'),
    ),
    /rowid 9223372036854775807/,
  )
  assertRefused(
    make((database) =>
      database.exec(
        'CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (1); UPDATE sqlite_sequence SET seq = 9223372036854775807',
      ),
    ),
    /AUTOINCREMENT/,
  )
})

test('every page size and encoding, WAL mode and auto_vacuum come out as one kind of file with the same content', () => {
  for (const pageBytes of [512, 1024, 4096, 16_384, 65_536]) {
    for (const encoding of ['UTF-8', 'UTF-16le', 'UTF-16be']) {
      const given = make((database) => {
        database.pragma(`page_size = ${pageBytes}`)
        database.pragma(`encoding = '${encoding}'`)
        database.pragma('auto_vacuum = FULL')
        if (pageBytes === 1024) database.pragma('journal_mode = WAL')
        database.exec(
          "CREATE TABLE t (a, b); INSERT INTO t(rowid, a, b) VALUES (5, 'größe', 1.5), (77, x'00ff', NULL); CREATE INDEX i ON t(a)",
        )
        database.pragma('user_version = 42')
        database.pragma('application_id = 7')
        if (pageBytes === 1024) database.pragma('wal_checkpoint(TRUNCATE)')
      })
      const seen = inspect(soundOf(given), (database) => ({
        settings: ['page_size', 'encoding', 'auto_vacuum', 'journal_mode', 'user_version', 'application_id'].map((name) =>
          database.pragma(name, { simple: true }),
        ),
        rows: database.prepare('SELECT rowid, a, b FROM t').raw().all(),
      }))
      assert.deepEqual(seen.settings, [4096, encoding, 0, 'delete', 42, 7])
      assert.deepEqual(seen.rows, [
        [5, 'größe', 1.5],
        [77, Buffer.from([0, 255]), null],
      ])
    }
  }
})

test('a file whose write-ahead log did not come along is taken as it stands without it', () => {
  const path = join(directory, 'wal.sqlite')
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  database.pragma('wal_autocheckpoint = 0')
  database.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.exec('INSERT INTO t VALUES (2)')
  const alone = readFileSync(path)
  database.close()
  assert.deepEqual(
    inspect(soundOf(alone), (sound) => sound.prepare('SELECT a FROM t').pluck().all()),
    [1],
  )
})

test('statistics are left behind, full-text and other tables come along', () => {
  const given = make((database) => {
    database.exec(
      "CREATE VIRTUAL TABLE f USING fts5(a, b); INSERT INTO f VALUES ('hello', 'world'); CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); INSERT INTO r VALUES (1, 0.5, 2)",
    )
    database.exec(
      "CREATE TABLE w (k TEXT PRIMARY KEY, g AS (length(k)) STORED) WITHOUT ROWID; INSERT INTO w VALUES ('abc'); CREATE TABLE s (n INTEGER PRIMARY KEY AUTOINCREMENT) STRICT; INSERT INTO s VALUES (9); ANALYZE",
    )
  })
  const seen = inspect(soundOf(given), (database) => [
    database.prepare("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite\\_stat%' ESCAPE '\\'").pluck().get(),
    database.prepare("SELECT b FROM f('hello')").pluck().get(),
    database.prepare('SELECT id FROM r WHERE x1 > 1').pluck().get(),
    database.prepare('SELECT g FROM w').pluck().get(),
    database.prepare('SELECT seq FROM sqlite_sequence').pluck().get(),
  ])
  assert.deepEqual(seen, [0, 'world', 1, 3, 9])
})

test('through the process that examines them, a sound file is sound, a damaged one refused, and one that takes memory without end is ended with it', async () => {
  const whole = ordinary()
  const found = await offerToInbox(whole)
  assert('sound' in found)
  assert.equal(
    inspect(found.sound, (database) => database.prepare('SELECT count(*) FROM t').pluck().get()),
    2000,
  )
  expectRefused(await offerToInbox(whole.subarray(0, whole.length - 4096)), /malformed/)
  // Made where the value is small; read where it is not.
  const bomb = withSchema(
    'CREATE TABLE t (a); CREATE INDEX i ON t(a); INSERT INTO t VALUES (1)',
    "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(length(hex(zeroblob(a * 240000000))))' WHERE name = 'i'",
  )
  expectRefused(await offerToInbox(bomb), /too much memory/)
})

test('a file that is compressed, or empty of tables, is what it is', () => {
  assertRefused(gzipSync(ordinary()), /not a SQLite 3 file/)
  const empty = soundOf(make((database) => database.exec('CREATE TABLE t (a); DROP TABLE t')))
  assert.deepEqual(
    inspect(empty, (database) => database.prepare('SELECT * FROM sqlite_schema').all()),
    [],
  )
})

test('one file at a time, no more than there is room for, and none of an earlier life', async () => {
  const uploads = join(directory, 'other')
  mkdirSync(uploads)
  writeFileSync(join(uploads, 'given.sqlite'), 'left by a crash')
  let free = 10 * 2 ** 30
  const other = new FileInbox({ directory: uploads, readFreeBytes: () => free })
  assert(!existsSync(uploads))
  const first = other.begin()
  assert(first.ok)
  const second = other.begin()
  assert(!second.ok && second.problem.code === 'overloaded')
  assert((await first.value.write(new Uint8Array(9 * 2 ** 20))).ok)
  free = 2 ** 20
  const refused = await first.value.write(new Uint8Array(10))
  assert(!refused.ok && refused.problem.code === 'no_space')
  await first.value.discard()
  assert(other.begin().ok)
})
