// Tables and table functions that tell of one node alone: its files, connections, memory, pages. In a statement that goes into the log they could decide on each node
// something else. The `pragma_…` functions about the schema are among them: pragma_table_list lists in the order of a hash table, which a restart changes.
import { wordOf, type Piece } from './split.ts'
import { tokenName, type Token } from './tokenizer.ts'

const tables: ReadonlySet<string> = new Set(['dbstat', 'sqlite_dbpage', 'sqlite_stmt', 'sqlite_memstat'])
/** Also good names for a table of a user, so only as calls. */
const tableFunctions: ReadonlySet<string> = new Set(['bytecode', 'tables_used'])
/** Behind one of these a string can stand for a table that is read; in a virtual table's arguments too. */
const readingWords: ReadonlySet<string> = new Set(['from', 'join', 'in', 'virtual'])

/** What to call the first one in a message, undefined when there is none. */
export function findLocalTable(piece: Piece): string | undefined {
  const namesTables = tableNamesIn(piece)
  for (const [position, token] of piece.tokens.entries()) {
    if (!namesTables(token)) continue
    const name = tokenName(piece.sql, token)
    if (name.startsWith('pragma_')) return 'this pragma function'
    if (tables.has(name)) return name
    const next = piece.tokens[position + 1]
    if (tableFunctions.has(name) && next !== undefined && tokenName(piece.sql, next) === '(') return name
  }
  return undefined
}

/** Which tokens can stand for a table that is read. A string in a statement without FROM, JOIN and IN is only a value. */
export function tableNamesIn(piece: Piece): (token: Token) => boolean {
  const withStrings = piece.tokens.some((token) => readingWords.has(wordOf(piece.sql, token)))
  return ({ kind }) => kind === 'word' || kind === 'quoted' || (withStrings && kind === 'string')
}
