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

/**
 * What programs tell a connection when they open it. Nothing is set by it: it is taken where it says what is so, and refused otherwise (`foreign-keys`: that is for whoever knows the
 * cluster's setting; `deferred-foreign-keys`: without a transaction of the client's own SQLite itself forgets it at once).
 */
export type Setting = { readonly kind: 'as-it-is' } | { readonly kind: 'foreign-keys' | 'deferred-foreign-keys'; readonly isOn: boolean }

const switches: ReadonlyMap<string, boolean> = new Map(
  Object.entries({ on: true, yes: true, true: true, 1: true, off: false, no: false, false: false, 0: false }),
)
/** As they are on every connection. */
const fixed: ReadonlyMap<string, boolean> = new Map(
  Object.entries({
    legacy_alter_table: false,
    recursive_triggers: false,
    ignore_check_constraints: false,
    reverse_unordered_selects: false,
    automatic_index: true,
    trusted_schema: true,
  }),
)
/** How fast, how patiently, where in memory: never what is answered. A connection is not the client's own. */
const hints: ReadonlySet<string> = new Set(['busy_timeout', 'cache_size', 'temp_store', 'read_uncommitted'])

/** Undefined: no such pragma, or one that says otherwise. */
export function settingIn(piece: Piece): Setting | undefined {
  const pragma = isPragma(piece, 0) ? pragmaWords(piece, 0) : undefined
  if (pragma === undefined || pragma.schema === 'temp') return undefined
  const [name = '', form, ...rest] = pragma.words
  if (form === '(' ? rest.pop() !== ')' : form !== '=') return undefined
  const [value = '', second] = rest[0] === '-' || rest[0] === '+' ? rest.slice(1) : rest
  if (second !== undefined || value === '') return undefined
  if (hints.has(name) || (name === 'encoding' && /^utf-?8$/.test(value))) return { kind: 'as-it-is' }
  const isOn = switches.get(value)
  if (isOn === undefined) return undefined
  if (fixed.get(name) === isOn) return { kind: 'as-it-is' }
  if (name === 'foreign_keys') return { kind: 'foreign-keys', isOn }
  return name === 'defer_foreign_keys' ? { kind: 'deferred-foreign-keys', isOn } : undefined
}

/** Why it cannot be taken; undefined: it says what is so. `foreignKeys`: whether the cluster has them. */
export function settingProblem(
  setting: Setting,
  { foreignKeys, isTransaction }: { readonly foreignKeys: boolean; readonly isTransaction: boolean },
): string | undefined {
  switch (setting.kind) {
    case 'as-it-is':
      return undefined
    case 'foreign-keys':
      return setting.isOn === foreignKeys
        ? undefined
        : `foreign keys are ${foreignKeys ? 'on' : 'off'}: that is a setting of the cluster (flag -fk), not of a connection`
    case 'deferred-foreign-keys':
      return setting.isOn && foreignKeys && isTransaction
        ? 'foreign keys are deferred where the schema says so: DEFERRABLE INITIALLY DEFERRED'
        : undefined
  }
}

/** `piece` has the keyword PRAGMA at `position`. Undefined: not allowed. `isLogged`: it goes to every node. */
export function judgePragma(piece: Piece, position: number, { isLogged }: { readonly isLogged: boolean }): 'read' | 'write' | undefined {
  // Behind EXPLAIN too SQLite would carry it out.
  if (position === 0 && settingIn(piece) !== undefined) return 'read'
  const pragma = pragmaWords(piece, position)
  if (pragma === undefined) return undefined
  const [name = '', form] = pragma.words
  // A connection that writes has things of ours there.
  if (pragma.schema === 'temp') return !isLogged && inspecting.has(name) ? 'read' : undefined
  // The mask would say which of a connection's habits count.
  if (name === 'optimize') return 'write'
  if (form === undefined) return readable.has(name) || inspecting.has(name) ? 'read' : undefined
  if (form !== '=' && form !== '(') return undefined
  if (inspecting.has(name)) return 'read'
  return writable.has(name) ? 'write' : undefined
}

/** Whether it shows what tables, columns and indexes there are, and no row of them. */
export function isInspection(piece: Piece): boolean {
  return isPragma(piece, 0) && inspecting.has(pragmaWords(piece, 0)?.words[0] ?? '')
}

interface PragmaWords {
  readonly schema: 'main' | 'temp'
  /** Lower-cased, without quotes; the name first. */
  readonly words: readonly string[]
}

/** Behind the keyword at `position`. Undefined: no name, or one in another schema. */
function pragmaWords(piece: Piece, position: number): PragmaWords | undefined {
  const tokens = piece.tokens.slice(position + 1)
  const texts = tokens.map((token) => tokenName(piece.sql, token))
  const isQualified = texts[1] === '.'
  const schema = isQualified ? texts[0] : 'main'
  const words = isQualified ? texts.slice(2) : texts
  if (words[0] === undefined || tokens[isQualified ? 2 : 0]?.kind === 'string') return undefined
  return schema === 'main' || schema === 'temp' ? { schema, words } : undefined
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
