// Which pragmas a client may send. A pragma either reads, or writes a value that is part of the database file; everything else changes one node's connection,
// its files or its memory, and would be lost, or differ, on the others.
import { wordOf, type Piece } from './split.ts'
import { tokenName } from './tokenizer.ts'

/** Read without an argument: connection settings and facts. */
const readable: ReadonlySet<string> = new Set(
  (
    'application_id auto_vacuum automatic_index busy_timeout cache_size cache_spill cell_size_check checkpoint_fullfsync collation_list compile_options ' +
    'data_version database_list defer_foreign_keys encoding foreign_keys freelist_count fullfsync function_list ignore_check_constraints journal_mode ' +
    'journal_size_limit legacy_alter_table locking_mode max_page_count mmap_size module_list page_count page_size pragma_list query_only read_uncommitted ' +
    'recursive_triggers reverse_unordered_selects schema_version secure_delete synchronous table_list temp_store threads trusted_schema user_version'
  ).split(' '),
)
/** Read with an argument that names what to look at. */
const inspecting: ReadonlySet<string> = new Set(
  'foreign_key_check foreign_key_list index_info index_list index_xinfo integrity_check quick_check table_info table_list table_xinfo'.split(
    ' ',
  ),
)
/** Numbers in the header of the database file: same on every node when set through the log. */
const writable: ReadonlySet<string> = new Set(['application_id', 'user_version'])
/** `tokens` begins with the keyword PRAGMA. Undefined: not allowed. */
export function judgePragma(piece: Piece, position: number): 'read' | 'write' | undefined {
  const tokens = piece.tokens.slice(position + 1)
  const texts = tokens.map((token) => tokenName(piece.sql, token))
  const qualified = texts[1] === '.'
  if (qualified && texts[0] !== 'main') return undefined
  const rest = qualified ? texts.slice(2) : texts
  const [name, form] = rest
  if (name === undefined || tokens[qualified ? 2 : 0]?.kind === 'string') return undefined
  // The mask would say which of a connection's habits count.
  if (name === 'optimize') return 'write'
  if (form === undefined) return readable.has(name) || inspecting.has(name) ? 'read' : undefined
  if (form !== '=' && form !== '(') return undefined
  if (inspecting.has(name)) return 'read'
  return writable.has(name) ? 'write' : undefined
}

/** Of an identifier: whether it is one of SQLite's `pragma_…` table functions, and one that only reads. Only reads outside of the log may use these (local-tables.ts). */
export function judgePragmaFunction(name: string): 'none' | 'reads' | 'nowhere' {
  if (!name.startsWith('pragma_')) return 'none'
  const pragma = name.slice('pragma_'.length)
  return readable.has(pragma) || inspecting.has(pragma) ? 'reads' : 'nowhere'
}

/** Position of the keyword PRAGMA when the piece is a pragma, behind EXPLAIN or not. */
export function isPragma(piece: Piece, position: number): boolean {
  return wordOf(piece.sql, piece.tokens[position]) === 'pragma'
}
