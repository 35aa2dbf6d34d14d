// Makes the next database of a file that has come through the log: its chunks are written out, compared with the hash that the last step names, and what is ours in the
// present database (how far the log is applied, who the members are, settings) is written into it. All nodes make the same of the same chunks. What comes out lies
// durably beside the present database; putting it in its place is database-replacement.ts.
import { createHash } from 'node:crypto'
import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { findAnything, type LoadStep } from '../command/load-step.ts'
import type { Entry } from '../raft/entry.ts'
import { openBookkeeping } from './bookkeeping.ts'
import { syncDirectory } from '../log/directory-disk.ts'
import { LoadStaging, accepted, loadedTable, stagingTables, type LoadRefusal } from './load-staging.ts'
import { EnvironmentFailure, answerOf, runOwn } from './sqlite-failure.ts'
import { HashFold, type StateHash } from './state-hash.ts'
import { dropSamples } from './upkeep-runner.ts'

/** Syncing now and then keeps the log's own syncs short. */
const unsyncedBytesMax = 4 * 1024 * 1024

export interface AssemblyTask {
  /** The present database, in no transaction; nobody writes to it meanwhile. */
  readonly database: Database.Database
  /** Where the new one is made. */
  readonly path: string
  readonly entry: Entry
  readonly step: Extract<LoadStep, { kind: 'load-end' }>
}

/** A refusal is the same on every node, and nothing is left of the file. What the machine is to blame for comes out as EnvironmentFailure. */
export function assembleLoad(task: AssemblyTask): 'ready' | LoadRefusal {
  const { path } = task
  removeDatabase(path)
  if (task.step.onto === 'nothing' && holdsSomething(task.database)) return 'load_onto_something'
  const outcome = whole(task) ? adopt(task) : 'load_mismatch'
  if (outcome === 'ready') syncDatabase(path)
  else removeDatabase(path)
  return outcome
}

function holdsSomething(database: Database.Database): boolean {
  return runOwn(() => database.prepare(findAnything).get() !== undefined)
}

/** Writes the file; false when it is not the one that was announced. */
function whole({ database, path, step }: AssemblyTask): boolean {
  const hash = createHash('sha256')
  const descriptor = openSync(path, 'wx', 0o600)
  try {
    let unsynced = 0
    for (const chunk of new LoadStaging(database).chunks()) {
      hash.update(chunk)
      for (let at = 0; at < chunk.length;) at += writeSync(descriptor, chunk, at)
      unsynced += chunk.length
      if (unsynced < unsyncedBytesMax) continue
      fdatasyncSync(descriptor)
      unsynced = 0
    }
    return hash.digest('hex') === step.hash
  } catch (error) {
    throw new EnvironmentFailure(`a loaded file could not be written: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  } finally {
    closeSync(descriptor)
  }
}

/** The bytes are the same on every node, so what SQLite says of them is too. */
function adopt(task: AssemblyTask): 'ready' | LoadRefusal {
  const ours = readOurs(task.database)
  let connection: Database.Database | undefined
  try {
    connection = new Database(task.path, { fileMustExist: true })
    connection.pragma('journal_mode = DELETE')
    connection.pragma('trusted_schema = OFF')
    const next = connection
    next.transaction(() => writeOurs(ours, next))()
    const bookkeeping = openBookkeeping(next)
    next.transaction(() => {
      const before = bookkeeping.read()
      const progress = {
        ...before,
        appliedIndex: task.entry.index,
        appliedTerm: task.entry.term,
        // As a connection that was opened anew.
        lastInsertId: 0n,
        rowsAffected: 0,
        statementsDone: 0,
        loadLeftBytes: 0,
        hash: hashAfter(task.entry, task.step.hash),
      }
      bookkeeping.write(progress, before)
      dropSamples(next)
      next.exec(`DROP TABLE IF EXISTS main.${loadedTable}`)
      next.exec(`CREATE TABLE ${loadedTable} (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID`)
      next.prepare(`INSERT INTO ${loadedTable} VALUES (?)`).run(task.step.id)
    })()
    return 'ready'
  } catch (error) {
    if (isOfTheFile(error)) return 'load_unusable'
    answerOf(error) // the machine's
    return 'load_unusable'
  } finally {
    connection?.close()
  }
}

/** Of the bytes alone: with these codes SQLite would elsewhere mean a broken disk. */
function isOfTheFile(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(NOTADB|CORRUPT|ERROR|CONSTRAINT|MISMATCH|SCHEMA|FORMAT)/.test(error.code)
}

interface OurTable {
  readonly name: string
  readonly sql: string
  readonly rows: readonly unknown[][]
}

/** Tables of ours, whatever they are, but for the file's own way. What is wrong with them is this machine's fault: another node would find nothing. */
function readOurs(database: Database.Database): readonly OurTable[] {
  return runOwn(() => {
    const tables = database
      .prepare("SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND name LIKE '\\_securesql\\_%' ESCAPE '\\' ORDER BY name")
      .all() as Omit<OurTable, 'rows'>[] // both are TEXT in SQLite's own table
    return tables
      .filter(({ name }) => !stagingTables.includes(name))
      .map((table) => ({ ...table, rows: database.prepare(`SELECT * FROM main.${table.name}`).raw().safeIntegers().all() as unknown[][] }))
  })
}

function writeOurs(tables: readonly OurTable[], database: Database.Database): void {
  for (const { name, sql, rows } of tables) {
    database.exec(sql)
    for (const row of rows) database.prepare(`INSERT INTO main.${name} VALUES (${row.map(() => '?').join(', ')})`).run(...row)
  }
}

/** From the file on, whatever was before: every node that has the file has the same. */
function hashAfter(entry: Entry, fileHash: string): StateHash | undefined {
  const bytes = Buffer.from(fileHash, 'hex')
  const fold = new HashFold({ high: bytes.readUInt32BE(0), low: bytes.readUInt32BE(4) })
  fold.entry(entry)
  fold.statement(accepted)
  return fold.value
}

/** A new database, and its name. Throws EnvironmentFailure. */
export function syncDatabase(path: string): void {
  const descriptor = openSync(path, 'r+')
  try {
    fsyncSync(descriptor)
  } catch (error) {
    throw new EnvironmentFailure(`a new database could not be synced: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  } finally {
    closeSync(descriptor)
  }
  syncDirectory(dirname(path))
}

/** What a crash may have left of it, too. */
export function removeDatabase(path: string): void {
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
}
