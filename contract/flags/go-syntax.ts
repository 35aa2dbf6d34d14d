// The command-line syntax of Go's `flag` package, which scripts for rqlite are written in: `-x v`, `-x=v`, `--x`; a boolean takes its value only after `=`;
// the first argument that is no flag ends the flags; of a repeated flag the last one wins.

/** What a syntax needs to know of a flag: whether it takes the next argument. */
export type FlagLookup = (name: string) => 'takes-value' | 'boolean' | 'unknown'

export type SyntaxProblem =
  | { readonly code: 'flag_syntax'; readonly argument: string }
  | { readonly code: 'flag_unknown'; readonly name: string }
  | { readonly code: 'flag_value_missing'; readonly name: string }

export type Token =
  | { readonly kind: 'flag'; readonly name: string; readonly value: string }
  | { readonly kind: 'problem'; readonly problem: SyntaxProblem }
  /** The last token: everything behind the flags. */
  | { readonly kind: 'rest'; readonly arguments: readonly string[] }

/** Tokens in the order of argv, one at a time: the caller stops at the first that ends its work, as Go does (a `-help` behind an unknown flag is never reached). */
export function* readGoFlags(argv: readonly string[], lookup: FlagLookup): Generator<Token, void> {
  let at = 0
  for (; at < argv.length; at += 1) {
    const argument = argv[at] ?? ''
    if (!argument.startsWith('-') || argument === '-') break
    if (argument === '--') {
      at += 1
      break
    }
    const { name, value } = splitFlag(argument)
    if (name === '' || name.startsWith('-')) return yield { kind: 'problem', problem: { code: 'flag_syntax', argument } }
    const known = lookup(name)
    if (known === 'unknown') return yield { kind: 'problem', problem: { code: 'flag_unknown', name } }
    if (value !== undefined || known === 'boolean') {
      yield { kind: 'flag', name, value: value ?? 'true' }
      continue
    }
    at += 1
    const next = argv[at]
    if (next === undefined) return yield { kind: 'problem', problem: { code: 'flag_value_missing', name } }
    yield { kind: 'flag', name, value: next }
  }
  yield { kind: 'rest', arguments: argv.slice(at) }
}

function splitFlag(argument: string): { readonly name: string; readonly value: string | undefined } {
  const body = argument.startsWith('--') ? argument.slice(2) : argument.slice(1)
  const equals = body.indexOf('=')
  // Go looks for `=` from the second character on: `-=x` is bad syntax, not an empty name.
  return equals > 0 ? { name: body.slice(0, equals), value: body.slice(equals + 1) } : { name: equals === 0 ? '' : body, value: undefined }
}
