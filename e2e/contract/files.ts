// Backup, load and boot as a client sees them: what comes out can be sent in again.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { ContractCase, Place } from './contract-place.ts'

/** The answer's bytes: the helper of the other cases reads text. */
async function bytesOf(place: Place, query: string): Promise<Buffer> {
  const answer = await place.ask(`/db/backup${query}`)
  assert.equal(answer.status, 200, answer.body)
  return Buffer.from(answer.bytes)
}

function inFile<Value>(bytes: Uint8Array, body: (path: string) => Value): Value {
  const directory = mkdtempSync(join(tmpdir(), 'contract-files-'))
  try {
    const path = join(directory, 'file.sqlite')
    writeFileSync(path, bytes)
    return body(path)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function fileOf(sql: string): Buffer {
  return inFile(new Uint8Array(0), (path) => {
    new Database(path).exec(sql).close()
    return readFileSync(path)
  })
}

/** For the cases behind these, the database as it was. */
async function keeping(place: Place, body: () => Promise<void>): Promise<void> {
  const kept = await bytesOf(place, '?fmt=delete')
  await body()
  assert.equal((await place.ask('/db/load', { method: 'POST', body: kept })).body, '{"results":[]}')
}

export const files: readonly ContractCase[] = [
  {
    title: 'a backup is a SQLite file in WAL mode, with fmt=delete in DELETE mode, with vacuum without free pages, with compress in gzip',
    run: async (place) => {
      await place.execute(['CREATE TABLE kept (id INTEGER PRIMARY KEY, name TEXT)', "INSERT INTO kept(name) VALUES ('fiona')"])
      for (const [query, mode] of [
        ['', 2],
        ['?fmt=binary&noleader', 2],
        ['?fmt=delete&vacuum&timeout=20s', 1],
      ] as const) {
        const bytes = await bytesOf(place, query)
        assert.deepEqual([bytes.toString('latin1', 0, 15), bytes[18]], ['SQLite format 3', mode], query)
        const rows = inFile(bytes, (path) => {
          const database = new Database(path)
          const found = [database.pragma('integrity_check', { simple: true }), database.prepare('SELECT name FROM kept').pluck().all()]
          database.close()
          return found
        })
        if (!query.includes('noleader')) assert.deepEqual(rows, ['ok', ['fiona']], query)
      }
      assert.deepEqual((await bytesOf(place, '?compress')).subarray(0, 2), Buffer.from([0x1f, 0x8b]))
      const refused = await place.ask('/db/backup?fmt=sql&vacuum')
      assert.deepEqual([refused.status, refused.body], [400, 'invalid backup format\n'])
    },
  },
  {
    title: 'a backup as text holds the tables that were asked for, and loads again: answered like its last statement',
    run: async (place) => {
      const text = (await bytesOf(place, '?fmt=sql&tables=kept')).toString()
      assert.match(
        text,
        /^PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE kept [^]*INSERT INTO "kept" VALUES\(1,'fiona'\);\nCOMMIT;\n$/,
      )
      const missing = await place.ask('/db/backup?fmt=sql&tables=nowhere')
      assert.deepEqual([missing.status, missing.headers['x-securesql-code']], [400, 'backup_refused'])
      await place.execute(['DROP TABLE kept'])
      const loaded = await place.ask('/db/load', { method: 'POST', body: text })
      assert.equal(loaded.body, '{"results":[{"last_insert_id":1,"rows_affected":1}]}')
      assert.equal(await place.values('SELECT name FROM kept'), '["fiona"]')
      const again = await place.ask('/db/load', { method: 'POST', body: text })
      assert.equal(again.body, '{"results":[{"error":"table kept already exists"}]}')
      const unsound = await place.ask('/db/load', { method: 'POST', body: 'PRAGMA writable_schema=RESET; SELECT 1;' })
      assert.equal(unsound.headers['x-securesql-code'], 'statement_refused')
    },
  },
  {
    title: 'a dump of the sqlite3 shell with virtual tables, and a long one, are loaded into an empty database, unlike in rqlite',
    run: async (place) => {
      const shell = readFileSync(join(import.meta.dirname, '../../node/files/dumps/with-virtual-tables.sql'), 'utf8')
      const rows = Array.from({ length: 9_500 }, (_, n) => `INSERT INTO long VALUES(${n},'${'x'.repeat(1_000)}');\n`)
      const long = `BEGIN TRANSACTION;\nCREATE TABLE long (n INTEGER PRIMARY KEY, x TEXT CHECK (x <> "none"));\n${rows.join('')}COMMIT;\n`
      for (const body of [shell, long]) {
        const refused = await place.ask('/db/load', { method: 'POST', body })
        assert.deepEqual([refused.status, refused.headers['x-securesql-code']], [409, 'database_not_empty'])
      }
      await keeping(place, async () => {
        for (const [body, sql, found] of [
          [shell, "SELECT rowid, title FROM docs WHERE docs MATCH 'run'", '[70,"running again"]'],
          [long, 'SELECT count(*), max(n) FROM long', '[9500,9499]'],
        ] as const) {
          await place.ask('/db/load', { method: 'POST', body: fileOf('PRAGMA user_version = 1') })
          const broken = await place.ask('/db/load', {
            method: 'POST',
            body: body.replace(/COMMIT;\n$/, 'INSERT INTO nowhere VALUES (1);\nCOMMIT;\n'),
          })
          assert.deepEqual([broken.status, broken.headers['x-securesql-code']], [400, 'file_refused'])
          assert.match(broken.body, /^the text cannot be loaded: statement \d+: no such table: nowhere$/m)
          const loaded = await place.ask('/db/load', { method: 'POST', body })
          assert.deepEqual([loaded.status, loaded.body], [200, '{"results":[]}'])
          assert.equal(await place.values(sql, '?level=linearizable'), found)
        }
      })
    },
  },
  {
    title: 'a loaded file replaces everything, on every node',
    run: async (place) => {
      await keeping(place, async () => {
        const file = fileOf('CREATE TABLE loaded (n); INSERT INTO loaded VALUES (42); PRAGMA user_version = 5')
        const answer = await place.ask('/db/load', { method: 'POST', body: file })
        assert.deepEqual([answer.status, answer.body], [200, '{"results":[]}'])
        assert.equal(await place.values('SELECT n FROM loaded', '?level=linearizable'), '[42]')
        // The counters begin anew with the data, as when a connection is opened.
        assert.equal(await place.execute(['CREATE INDEX loadedindex ON loaded(n)']), '{"results":[{}]}')
        assert.match(await place.query('SELECT * FROM kept'), /no such table: kept/)
      })
      assert.equal(await place.values('SELECT name FROM kept', '?level=linearizable'), '["fiona"]')
    },
  },
  {
    title: 'a file that is damaged, or holds what nobody could make here, is refused, and the node goes on',
    run: async (place) => {
      const whole = fileOf('CREATE TABLE loaded (n); CREATE INDEX i ON loaded(n); INSERT INTO loaded VALUES (42)')
      const cut = whole.subarray(0, whole.length - 4096)
      const torn = Buffer.concat([whole.subarray(0, 100), Buffer.alloc(whole.length - 100)])
      for (const bytes of [cut, torn, fileOf('CREATE TABLE _securesql_state (a)')]) {
        const answer = await place.ask('/db/load', { method: 'POST', body: bytes })
        assert.deepEqual([answer.status, answer.headers['x-securesql-code']], [400, 'file_refused'])
        assert.match(answer.body, /^invalid SQLite data: /)
      }
      assert.equal(await place.values('SELECT name FROM kept'), '["fiona"]')
      assert.match(await place.execute(["INSERT INTO kept(name) VALUES ('declan')"]), /"rows_affected":1/)
    },
  },
  {
    title: 'boot takes a file on a cluster of one node, and nothing else anywhere',
    run: async (place) => {
      const file = fileOf('CREATE TABLE booted (n)')
      if (place.kind === 'follower') {
        const refused = await place.ask('/boot', { method: 'POST', body: file })
        assert.deepEqual([refused.status, refused.headers['x-securesql-code']], [503, 'not_single_node'])
        return
      }
      await keeping(place, async () => {
        const booted = await place.ask('/boot', { method: 'POST', body: file })
        assert.deepEqual([booted.status, booted.body], [200, ''])
        assert.match(await place.query('SELECT * FROM booted'), /"columns":\["n"\]/)
      })
      const text = await place.ask('/boot', { method: 'POST', body: 'CREATE TABLE t (a)' })
      assert.deepEqual([text.status, text.body], [400, 'invalid SQLite data\n'])
    },
  },
  {
    title: 'redirect sends backup and load to the leader',
    run: async (place) => {
      for (const [path, method] of [
        ['/db/backup?redirect', 'GET'],
        ['/db/load?redirect', 'POST'],
      ] as const) {
        const answer = await place.ask(path, { method, ...(method === 'POST' ? { body: '' } : {}) })
        if (place.kind === 'one-node') assert.equal(answer.status, 200)
        else assert.deepEqual([answer.status, answer.headers.location], [301, `https://${place.leader.address}${path}`])
      }
    },
  },
]
