// Statements that keep the database, rather than its data, in order: ANALYZE, PRAGMA optimize, VACUUM, and the settings that all nodes share. Each is an entry of its own,
// because none of them can share a transaction, or may be rolled back with one: SQLite keeps statistics and settings in the memory of each connection,
// and VACUUM writes the whole file anew.
import { encodeCommand } from './command-codec.ts'
import type { Command } from './command.ts'
import { splitStatements, wordOf, type Piece } from './split.ts'
import { tokenName } from './tokenizer.ts'

export type Upkeep =
  /** `sql`: as the client wrote it. */
  | { readonly kind: 'analyze'; readonly sql: string }
  | { readonly kind: 'optimize' }
  /** `sql`: as the client wrote it; a schema may stand in it, INTO does not. */
  | { readonly kind: 'vacuum'; readonly sql: string }
  /** Only proposed by the leader itself: the gate lets no client send it. */
  | { readonly kind: 'foreign-keys'; readonly isOn: boolean }

/** Behind a statement that would have to stand alone. */
export const mustBeAlone = 'must be the only statement of its request'

/** Not SQLite's name: what a client says of foreign keys sets nothing (pragmas.ts), and no client can say this. */
const foreignKeys = '_securesql_foreign_keys'

/** Most commands are something else, and are not split for this. */
const mention = /analyze|optimize|vacuum|foreign_keys/i
const charactersMax = 1_000

/** Undefined: an ordinary command. */
export function upkeepOf({ statements }: Pick<Command, 'statements'>): Upkeep | undefined {
  const sql = statements.length === 1 ? statements[0]?.sql : undefined
  if (sql === undefined || sql.length > charactersMax || !mention.test(sql)) return undefined
  const pieces = splitStatements(sql)
  const [piece, second] = pieces.ok ? pieces.value : []
  const upkeep = piece === undefined || second !== undefined ? undefined : upkeepIn(piece)
  return upkeep?.kind === 'vacuum' && hasParameters(statements) ? undefined : upkeep
}

/** Values would make a short statement a long entry. */
function hasParameters([statement]: Command['statements']): boolean {
  const { kind, values } = statement?.parameters ?? { kind: 'positional', values: [] }
  return (kind === 'positional' ? values.length : values.size) > 0
}

/** `PRAGMA main.optimize = 1`: nothing behind that is looked at. */
const wordsMax = 6

/** Of a statement, whatever stands beside it. */
export function upkeepIn(piece: Piece): Upkeep | undefined {
  const names = piece.tokens.slice(0, wordsMax).map((token) => tokenName(piece.sql, token))
  switch (wordOf(piece.sql, piece.tokens[0])) {
    case 'analyze':
      return { kind: 'analyze', sql: piece.sql }
    case 'vacuum':
      return { kind: 'vacuum', sql: piece.sql }
    case 'pragma': {
      const [name, form, value] = names[2] === '.' ? names.slice(3) : names.slice(1)
      // A mask says which of a connection's habits count; here none of them do.
      if (name === 'optimize') return { kind: 'optimize' }
      if (name === foreignKeys && form === '=') return { kind: 'foreign-keys', isOn: value === 'on' }
      return undefined
    }
    default:
      return undefined
  }
}

/** What a leader proposes by itself. */
const statements = {
  optimize: 'PRAGMA optimize',
  vacuum: 'VACUUM',
  'foreign-keys-on': `PRAGMA ${foreignKeys} = ON`,
  'foreign-keys-off': `PRAGMA ${foreignKeys} = OFF`,
} as const

/** Its bytes in the log. */
export function encodeUpkeep(upkeep: keyof typeof statements, moment: Pick<Command, 'proposedAtMs' | 'seed'>): Uint8Array {
  const statement = { sql: statements[upkeep], parameters: { kind: 'positional', values: [] } } as const
  return encodeCommand({ kind: 'execute', statements: [statement], transaction: false, ...moment })
}

export function foreignKeysStatement(isOn: boolean): string {
  return statements[isOn ? 'foreign-keys-on' : 'foreign-keys-off']
}
