// Statements that change the schema, and what they cost where EXPLAIN cannot tell: their programs hold opcodes that are judged as unbounded.
import { splitStatements, wordOf } from '../command/split.ts'

/** Running them leaves the schema as it is; after everything else what was prepared is prepared anew. */
export const schemaKeeping: ReadonlySet<string> = new Set('insert replace update delete with select values explain pragma'.split(' '))

/** One of them begins every other statement that the gate lets through. */
const changingWords = /create|drop|alter|reindex|analyze|vacuum|pragma/i

/** Of a text that the gate has let through, by its first words alone: it prepares nothing, and nearly all texts are not even split. */
export function keepsSchema(sql: string): boolean {
  if (!changingWords.test(sql)) return true
  const split = splitStatements(sql)
  return split.ok && split.value.every((piece) => isSchemaKeeping(wordOf(piece.sql, piece.tokens[0])))
}

/** A pragma may set what others are judged by. */
function isSchemaKeeping(keyword: string): boolean {
  return keyword !== 'pragma' && schemaKeeping.has(keyword)
}

/** Without rows to copy. */
const plainTable = /^\s*create\s+table\b(?![^]*\b(select|values|with)\b)/i
/** It writes a text into the schema; what it holds runs later. Not so a view: SQLite writes it out to learn its columns; nor what is tried out (double-quoted-strings.ts). */
const plainText = /^\s*create\s+trigger\b(?![^]*")/i
const plainCost = 1_000

/** In instructions; undefined: EXPLAIN says. */
export function costOfSchemaChange(sql: string): number | undefined {
  return plainTable.test(sql) ? plainCost : undefined
}

/** The same for whoever judges a write before it is in the log, where an estimate of its kind is enough. */
export function costOfProposedChange(sql: string): number | undefined {
  return plainText.test(sql) ? plainCost : costOfSchemaChange(sql)
}
