// What a command costs before it runs: whether it can be applied between two heartbeats. Of one statement EXPLAIN tells (bounded-program.ts).
import type { Command, Statement } from '../command/command.ts'
import { costOfSchemaChange } from './schema-changes.ts'
import type { SchemaFacts } from './schema-facts.ts'
import type { PreparedPiece, StatementCache } from './statement-cache.ts'

/** Each costs some microseconds beside its instructions; to be looked at, some tens. */
const statementsMax = 256
/** Of all texts together: they are split, some milliseconds. */
const charactersMax = 128 * 1024

/** The gate has refused these before they were proposed. Here they would break the group's transaction, so a log that holds one all the same gets an answer instead. */
export const neverRun: ReadonlySet<string> = new Set('begin commit end rollback savepoint release attach detach'.split(' '))

/** Roughly the instructions that it carries out; Infinity: it may run for any time. Under the schema as it is now. */
export function costOfCommand({ statements }: Command, schema: SchemaFacts, cache: StatementCache): number {
  if (statements.length > statementsMax || statements.some(({ sql }) => schema.mayBeHeavy(sql))) return Infinity
  if (statements.reduce((sum, { sql }) => sum + sql.length, 0) > charactersMax) return Infinity
  const [first, second] = statements
  const pieces = first !== undefined && second === undefined ? piecesOf(first, cache) : statements.flatMap((one) => piecesOf(one, cache))
  if (pieces.length > statementsMax) return Infinity
  let behind = pieces.length
  let cost = 0
  for (const piece of pieces) {
    behind -= 1
    if (neverRun.has(piece.keyword) || piece.isUpkeep) continue
    // It may act when it is prepared.
    if (piece.keyword === 'pragma') return Infinity
    // What follows a change of the schema cannot be judged before it.
    const changeCost = behind === 0 && piece.keyword === 'create' ? costOfSchemaChange(piece.sql) : undefined
    cost += changeCost ?? piece.cost()
    if (cost === Infinity) break
  }
  return cost
}

/** None where the text cannot be split. */
function piecesOf({ sql }: Statement, cache: StatementCache): readonly PreparedPiece[] {
  return sql === '' ? [] : (cache.get(sql) ?? [])
}
