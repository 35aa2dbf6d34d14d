// Tables and table functions that tell of one node alone: its files, connections, memory, pages. In a statement that goes into the log they could decide on each node
// something else. The `pragma_…` functions about the schema are among them: pragma_table_list lists in the order of a hash table, which a restart changes. Of the schema
// itself all is alike but `rootpage`: on which page a table begins is another on a node that had no room for a VACUUM (store/database-rewriting.ts).
import { nameAt, wordOf, type Piece } from './split.ts'
import { tokenName, type Token } from './tokenizer.ts'

const tables: ReadonlySet<string> = new Set([
  'dbstat',
  'sqlite_dbpage',
  'sqlite_stmt',
  'sqlite_memstat',
  // The triggers that guard a connection, under names that tell how often it has made them.
  'sqlite_temp_schema',
  'sqlite_temp_master',
])
/** Also good names for a table of a user, so only as calls. */
const tableFunctions: ReadonlySet<string> = new Set(['bytecode', 'tables_used'])
/** Its columns but `rootpage` are the same on every node. */
const schemaTables: ReadonlySet<string> = new Set(['sqlite_schema', 'sqlite_master'])
/** A `*` behind one of these stands for columns. */
const beforeStar: ReadonlySet<string> = new Set(['select', 'distinct', 'all', 'returning', ',', '.'])
/** Behind one of these a string can stand for a table that is read; in a virtual table's arguments too. */
const readingWords: ReadonlySet<string> = new Set(['from', 'join', 'in', 'virtual'])

/** What to call the first one in a message, undefined when there is none. */
export function findLocalTable(piece: Piece): string | undefined {
  const namesTables = tableNamesIn(piece)
  const [verb, what] = piece.tokens
  // Its statistics would be one connection's, and hide those of main.
  if (wordOf(piece.sql, verb) === 'analyze' && what !== undefined && tokenName(piece.sql, what) === 'temp') return 'the schema temp'
  for (const [position, token] of piece.tokens.entries()) {
    if (!namesTables(token)) continue
    const name = tokenName(piece.sql, token)
    if (name.startsWith('pragma_')) return 'this pragma function'
    if (tables.has(name)) return name
    if (tableFunctions.has(name) && nameAt(piece, position + 1) === '(') return name
    // A table of the user may be called so, but none of his tables is called sqlite_….
    if (name === 'temp' && nameAt(piece, position + 1) === '.' && nameAt(piece, position + 2).startsWith('sqlite_'))
      return 'the schema temp'
  }
  return findRootPage(piece, namesTables)
}

/** In a statement that reads the schema, whatever it could mean by a name. */
function findRootPage(piece: Piece, namesTables: (token: Token) => boolean): string | undefined {
  if (!piece.tokens.some((token) => namesTables(token) && schemaTables.has(tokenName(piece.sql, token)))) return undefined
  const names = piece.tokens.map((token) => tokenName(piece.sql, token))
  const readsPage = names.some(
    (name, position) =>
      name === 'rootpage' ||
      name === 'natural' ||
      (name === '*' && beforeStar.has(names[position - 1] ?? '')) ||
      // A whole row is looked for in it.
      (schemaTables.has(name) && (names[position - 1] === 'in' || (names[position - 1] === '.' && names[position - 3] === 'in'))),
  )
  return readsPage ? 'rootpage (of the schema name the columns that you need)' : undefined
}

/** Which tokens can stand for a table that is read. A string in a statement without FROM, JOIN and IN is only a value. */
export function tableNamesIn(piece: Piece): (token: Token) => boolean {
  const withStrings = piece.tokens.some((token) => readingWords.has(wordOf(piece.sql, token)))
  return ({ kind }) => kind === 'word' || kind === 'quoted' || (withStrings && kind === 'string')
}
