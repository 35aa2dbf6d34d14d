// What SQLite finds wrong with a database file: SQLite keeps no checksums of its pages, so damage shows only where a page is read, and only in what no longer fits together.
// What fits and is another value is found by comparison with other nodes (content-hash.ts).
import Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'

/** So many faults are looked at before SQLite gives up; the first few are told. */
const faultsMax = 1_000
const toldMax = 5
const textMax = 200

/**
 * Complaints of rows that do not keep their table's constraints. That is no damage: a file that somebody has loaded may hold such rows, on every node alike. Where damage has
 * made such a row, its content differs from the other nodes'.
 */
const isOfConstraint = /^(NULL|NUMERIC|TEXT|non-[A-Z]+) value in |^CHECK constraint failed in /
/**
 * A full-text table of version 4 complains of an index that does not fit to its texts, which clients bring about by changing the table that it takes its texts from. Every node
 * has the same then: whoever took it for damage would find all nodes damaged, and could never be rebuilt. What the table is made of are tables like others.
 */
const isOfFullText = /^(malformed inverted index for|unable to validate the inverted index for) FTS\d table /

/** `quick_check` does not compare indexes with their tables, which takes most of the time. */
export type Depth = 'integrity_check' | 'quick_check'

/** Texts for the log, without any values; empty: everything fits together. Reads the whole file in one statement. */
export function integrityFaults(database: Database.Database, depth: Depth): readonly string[] {
  // What stands in a schema is somebody else's: nothing of it is run that could do harm.
  database.pragma('trusted_schema = OFF')
  database.pragma('ignore_check_constraints = ON')
  database.pragma('cell_size_check = ON')
  try {
    return told(database.prepare(`PRAGMA ${depth}(${faultsMax})`).pluck().all())
  } catch (error) {
    if (isComplaintOfTable(error)) return faultsOfTables(database, depth)
    const damage = damageIn(error)
    if (damage === undefined) throw error
    return [damage]
  }
}

/**
 * Of each table and its indexes, without what holds them together. A virtual table may refuse to be looked at, and takes the whole check with it; what it is made of are
 * tables like others.
 */
export function faultsOfTables(database: Database.Database, depth: Depth): readonly string[] {
  const names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").pluck().all() as string[] // the name is text
  return names
    .flatMap((name) =>
      told(
        database
          .prepare(`PRAGMA ${depth}(${quotedName(name)})`)
          .pluck()
          .all(),
      ),
    )
    .slice(0, toldMax)
}

/** One row may hold several faults, each in a line of its own. */
function told(rows: readonly unknown[]): readonly string[] {
  const faults = rows
    .flatMap((row) => String(row).split('\n'))
    .filter((fault) => fault !== 'ok' && !isOfConstraint.test(fault) && !isOfFullText.test(fault))
  return faults.slice(0, toldMax).map((fault) => fault.slice(0, textMax))
}

function isComplaintOfTable(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_ERROR'
}

/** Of this machine, not of the file. */
const isOfMachine =
  /^SQLITE_(NOMEM|FULL|BUSY|LOCKED|CANTOPEN|PERM|AUTH|INTERRUPT|PROTOCOL|READONLY|IOERR(?!_(READ|SHORT_READ|CORRUPTFS|DATA)$))/

/** What SQLite says when the file itself is at fault, or the disk that should give it, while a database is read that others have just used; undefined: it is something else. */
export function damageIn(error: unknown): string | undefined {
  if (!(error instanceof Database.SqliteError) || isOfMachine.test(error.code)) return undefined
  return `${error.code}: ${error.message}`.slice(0, textMax)
}
