// A database of the text of a dump: every statement of it that the gate takes, in one transaction, and virtual tables as the sqlite3 shell writes them, by rows of the schema table.
// What comes out is a file from elsewhere like any other, and is judged as one (file-rewriting.ts): its schema, its pages, what its full-text tables say of themselves.
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { dumpStatements, type DumpStatement } from '../command/dump-statements.ts'
import { judgeText } from '../command/gate.ts'
import { settingIn } from '../command/pragmas.ts'
import { wordOf, type Piece } from '../command/split.ts'
import { isComplaint, prepareWithDoubleQuotes } from '../store/double-quoted-strings.ts'

const chunkBytes = 64 * 1024
const pageBytes = 4096
/** A row takes more as text than in a table; an index of it, or the words of it, take as much again. Beyond that a text makes more of itself than it holds. */
const growthMax = 4
const growthBytesMin = 64 * 1024 * 1024

export function builtBytesMax(textBytes: number): number {
  return growthMax * textBytes + growthBytesMin
}

/** Undefined: the database is at `output`. Otherwise what is wrong with the text at `path`. May do whatever it makes SQLite do: for throw-away processes. */
export function buildFromText({ path, output }: { readonly path: string; readonly output: string }): string | undefined {
  const bytesMax = builtBytesMax(statSync(path).size)
  const database = new Database(output)
  // Nobody needs what is left of it when this process dies; taking back single statements is needed.
  database.pragma('journal_mode = MEMORY')
  database.pragma('synchronous = OFF')
  database.pragma('foreign_keys = OFF')
  database.pragma('trusted_schema = OFF')
  database.pragma(`max_page_count = ${Math.ceil(bytesMax / pageBytes)}`)
  let count = 0
  try {
    database.exec('BEGIN')
    for (const read of dumpStatements(textOf(path), judgeText)) {
      if (read === undefined) continue
      count += 1
      if (read.kind === 'refused') return read.problem.message
      carryOut(database, read)
    }
    database.exec('COMMIT')
    return undefined
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code === 'SQLITE_FULL')
      return `statement ${count}: no room: what it makes may have at most ${bytesMax} bytes`
    // SQLite's words and the binding's (a parameter without a value), and bytes that are no text.
    if (error instanceof Database.SqliteError || error instanceof RangeError || error instanceof TypeError)
      return `statement ${count}: ${error.message}`
    throw error
  } finally {
    database.close()
  }
}

/** Throws on bytes that are no UTF-8. */
function* textOf(path: string): Iterable<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const descriptor = openSync(path, 'r')
  try {
    const buffer = new Uint8Array(chunkBytes)
    for (;;) {
      const bytes = readSync(descriptor, buffer)
      yield decoder.decode(buffer.subarray(0, bytes), { stream: bytes > 0 })
      if (bytes === 0) return
    }
  } finally {
    closeSync(descriptor)
  }
}

function carryOut(database: Database.Database, read: Exclude<DumpStatement, { kind: 'refused' }>): void {
  switch (read.kind) {
    case 'statement':
      return run(database, read.piece)
    case 'virtual-table':
      // For this row alone: everything else that would write there, SQLite refuses.
      database.unsafeMode(true)
      database.pragma('writable_schema = ON')
      run(database, read.piece)
      database.pragma('writable_schema = OFF')
      database.unsafeMode(false)
  }
}

function run(database: Database.Database, piece: Piece): void {
  if (settingIn(piece) !== undefined) return
  if (isPlain(piece)) {
    try {
      // Without a handle: hundreds of thousands of them would wait in memory for the collector of garbage.
      return void database.exec(piece.sql)
    } catch (error) {
      // Nothing was done: SQLite says it before it begins.
      if (!isComplaint(error)) throw error
    }
  }
  const statement = prepareWithDoubleQuotes(database, piece, wordOf(piece.sql, piece.tokens[0]))
  if (!statement.reader) return void statement.run()
  for (const row of statement.iterate()) void row
}

/** Nearly all of a dump. A parameter would be taken for NULL. */
function isPlain({ sql, tokens }: Piece): boolean {
  return wordOf(sql, tokens[0]) === 'insert' && tokens.every(({ kind }) => kind !== 'parameter')
}
