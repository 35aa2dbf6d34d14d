// Values that a statement would make out of nothing and that no node should have in memory, as far as literals tell: zeroblob(N) and randomblob(N), together, and widths
// of printf. Numbers that are computed or bound are bounded by what the binding and the store count, and by the process that will run such statements.
import { valueBytesMax } from './result-limits.ts'
import type { Piece } from './split.ts'
import { tokenName } from './tokenizer.ts'

const makers: ReadonlySet<string> = new Set(['zeroblob', 'randomblob'])
const formatters: ReadonlySet<string> = new Set(['printf', 'format'])

/** Of a format with a percent sign in it. */
const formatCharactersMax = 100_000

/** The name of the function, undefined when there is none. */
export function findHugeValue(piece: Piece): string | undefined {
  let bytes = 0
  for (const [position, token] of piece.tokens.entries()) {
    if (token.kind !== 'word' && token.kind !== 'quoted') continue
    const name = tokenName(piece.sql, token)
    if (!makers.has(name) && !formatters.has(name)) continue
    const open = piece.tokens[position + 1]
    if (open === undefined || tokenName(piece.sql, open) !== '(') continue
    const argument = piece.tokens[position + 2]
    if (argument === undefined) continue
    const text = tokenName(piece.sql, argument)
    if (makers.has(name) && argument.kind === 'number') bytes += Number(text.replaceAll('_', ''))
    if (formatters.has(name)) bytes += widthsOf(text)
    if (bytes > valueBytesMax) return name
  }
  return undefined
}

function widthsOf(format: string): number {
  // Counting takes longer than anything else that is done with a text.
  if (format.length > formatCharactersMax && format.includes('%')) return Infinity
  let bytes = 0
  for (const [, width = '', precision = ''] of format.matchAll(/%[-+ 0#!,]*(\d*)(?:\.(\d*))?/g)) bytes += Number(width) + Number(precision)
  return bytes
}
