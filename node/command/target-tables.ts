// Which tables a text writes into by name, in triggers' bodies too: behind INTO, and behind UPDATE [OR …]. Both words are reserved, so an unquoted one is the keyword.
import { nameAt, wordOf, type Piece } from './split.ts'

export interface WriteTarget {
  /** Lower-cased, without quotes and schema. */
  readonly table: string
  /** The list of columns that follows, lower-cased; undefined when there is none (always so for UPDATE). */
  readonly columns: readonly string[] | undefined
}

export function findWriteTargets(piece: Piece): readonly WriteTarget[] {
  const targets: WriteTarget[] = []
  for (let at = 0; at < piece.tokens.length; at += 1) {
    const verb = wordOf(piece.sql, piece.tokens[at])
    if (verb !== 'into' && verb !== 'update') continue
    let name = at + 1
    if (verb === 'update' && wordOf(piece.sql, piece.tokens[name]) === 'or') name += 2
    if (nameAt(piece, name + 1) === '.') name += 2
    const table = nameAt(piece, name)
    if (table !== '') targets.push({ table, columns: verb === 'into' ? columnsFrom(piece, name + 1) : undefined })
  }
  return targets
}

function columnsFrom(piece: Piece, position: number): readonly string[] | undefined {
  let at = wordOf(piece.sql, piece.tokens[position]) === 'as' ? position + 2 : position
  if (nameAt(piece, at) !== '(') return undefined
  const columns: string[] = []
  // There are names in it and commas. At anything else SQLite refuses the text; reading on would read the same again behind every INTO.
  for (at += 1; ; at += 1) {
    const kind = piece.tokens[at]?.kind
    if (kind === 'word' || kind === 'quoted' || kind === 'string') columns.push(nameAt(piece, at))
    else if (nameAt(piece, at) !== ',') return columns
  }
}
