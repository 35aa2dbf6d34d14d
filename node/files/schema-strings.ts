// Words in double quotes that are strings, in the schema of a file from elsewhere. In tables and indexes SQLite reads them as strings, for old schemas' sake, but neither VACUUM nor a
// later RENAME does; a trigger or a view fails whenever it is used. Rewritten as they would be if a client had sent them here (store/double-quoted-strings.ts).
import type Database from 'better-sqlite3'
import { splitStatements } from '../command/split.ts'
import { schemaText } from '../store/double-quoted-strings.ts'

interface Part {
  readonly rowid: number
  readonly sql: string
}

/** Only in a process that is thrown away: it writes into the schema's own table. What comes out must be judged once more. */
export function rewriteSchemaStrings(database: Database.Database): void {
  const parts = database
    .prepare("SELECT rowid, sql FROM main.sqlite_schema WHERE sql LIKE '%\"%' AND type IN ('table', 'index', 'view', 'trigger')")
    .all() as Part[] // an INTEGER, and text as LIKE has found it
  const changed: Part[] = []
  for (const { rowid, sql } of parts) {
    const split = splitStatements(sql)
    const [piece, second] = split.ok ? split.value : []
    if (piece === undefined || second !== undefined) continue
    const text = schemaText(database, piece, { stands: true })
    if (text !== sql) changed.push({ rowid, sql: text })
  }
  if (changed.length === 0) return
  database.unsafeMode(true)
  database.pragma('writable_schema = ON')
  const write = database.prepare('UPDATE main.sqlite_schema SET sql = ? WHERE rowid = ?')
  database.transaction(() => {
    for (const { rowid, sql } of changed) write.run(sql, rowid)
  })()
  database.pragma('writable_schema = RESET')
  database.unsafeMode(false)
}
