// Judges a database file from elsewhere, and has SQLite write a sound one anew (VACUUM INTO), so that no node ever opens a page that somebody else has made: with pages of 4096
// bytes, without auto_vacuum and without statistics; rowids, encoding, user_version and application_id stay.
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { ExaminerReply } from './file-examination.ts'
import { headerBytes, headerProblem, journalBytes, journalOffset } from './file-header.ts'
import { rewriteSchemaStrings } from './schema-strings.ts'
import { buildFromText } from './text-building.ts'
import { integrityProblem, rowidProblem, schemaProblem, valueProblem } from './file-judgement.ts'

const bufferBytes = 1024 * 1024
/** As in every database that this program makes. */
const pageBytes = 4096
const reasonCharactersMax = 300

export interface RewritingTask {
  readonly path: string
  readonly output: string
}

/** May do whatever the file makes SQLite do: for throw-away processes. */
export function rewriteFile({ path, output }: RewritingTask): ExaminerReply {
  try {
    const problem = judgeHeader(path) ?? rewrite(path, output) ?? judgeRewritten(output)
    return problem === undefined ? { kind: 'sound', ...describe(output) } : refused(problem)
  } catch (error) {
    return refused(error instanceof Error ? error.message : String(error))
  }
}

/** The same for the text of a dump. */
export function rewriteText({ path, output }: RewritingTask): ExaminerReply {
  const built = `${path}.built`
  try {
    const problem = buildFromText({ path, output: built })
    return problem === undefined ? rewriteFile({ path: built, output }) : refused(problem)
  } finally {
    rmSync(built, { force: true })
  }
}

function refused(reason: string): ExaminerReply {
  const isFull = /disk is full|ENOSPC/.test(reason)
  return { kind: isFull ? 'full' : 'refused', reason: reason.replaceAll(/\s+/g, ' ').slice(0, reasonCharactersMax) }
}

/** A file in WAL mode whose log did not come along is whole without it; said to be in the other mode, it needs no files beside it. */
function judgeHeader(path: string): string | undefined {
  const descriptor = openSync(path, 'r+')
  try {
    const header = new Uint8Array(headerBytes)
    const read = readSync(descriptor, header, 0, headerBytes, 0)
    const problem = headerProblem(header.subarray(0, read), statSync(path).size)
    if (problem === undefined) writeSync(descriptor, journalBytes('delete'), 0, 2, journalOffset)
    return problem
  } finally {
    closeSync(descriptor)
  }
}

function rewrite(path: string, output: string): string | undefined {
  const given = open(path)
  try {
    const problem = schemaProblem(given) ?? integrityProblem(given)
    if (problem !== undefined) return problem
    // This SQLite could not write it anew otherwise.
    rewriteSchemaStrings(given)
    given.pragma(`page_size = ${pageBytes}`)
    given.pragma('auto_vacuum = NONE')
    given.prepare('VACUUM INTO ?').run(output)
    return undefined
  } finally {
    given.close()
  }
}

/** The schema once more: what SQLite has made of it is what every node will read. */
function judgeRewritten(output: string): string | undefined {
  const made = open(output)
  try {
    const statistics = made
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'sqlite_stat[134]'")
      .pluck()
      .all() as string[]
    for (const name of statistics) made.exec(`DROP TABLE ${name}`)
    if (statistics.length > 0) made.exec('VACUUM')
    const problem = schemaProblem(made) ?? integrityProblem(made) ?? rowidProblem(made) ?? valueProblem(made)
    if (problem !== undefined) return problem
    // As every node will do with it.
    made.exec('BEGIN; CREATE TABLE _securesql_probe (id INTEGER PRIMARY KEY); ROLLBACK')
    return undefined
  } finally {
    made.close()
  }
}

function open(file: string): Database.Database {
  const database = new Database(file, { fileMustExist: true })
  // Nothing of a schema that is somebody else's is run, but what its indexes compute.
  database.pragma('trusted_schema = OFF')
  database.pragma('cell_size_check = ON')
  database.pragma('mmap_size = 0')
  database.pragma('synchronous = OFF')
  return database
}

function describe(output: string): { readonly bytes: number; readonly hash: string } {
  const descriptor = openSync(output, 'r+')
  try {
    fsyncSync(descriptor)
    const hash = createHash('sha256')
    const buffer = Buffer.alloc(bufferBytes)
    for (let bytes = 0; ;) {
      const read = readSync(descriptor, buffer, 0, buffer.length, bytes)
      if (read === 0) return { bytes, hash: hash.digest('hex') }
      hash.update(buffer.subarray(0, read))
      bytes += read
    }
  } finally {
    closeSync(descriptor)
  }
}
