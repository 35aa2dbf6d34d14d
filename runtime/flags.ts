// The node's command line: Go's flag syntax in, one frozen configuration out. Everything that can be refused without touching a file is refused here.
import { checkAddresses, checkFlagValues } from '../contract/flags/cross-checks.ts'
import { configurationFromFlags } from '../contract/flags/configuration-from-flags.ts'
import { configurationWarnings } from '../contract/flags/configuration-warnings.ts'
import type { FlagProblem } from '../contract/flags/flag-problem.ts'
import { parseFlagValue } from '../contract/flags/flag-value.ts'
import type { FlagValue } from '../contract/flags/flag-value.ts'
import { readGoFlags } from '../contract/flags/go-syntax.ts'
import type { SyntaxProblem } from '../contract/flags/go-syntax.ts'
import { helpText } from '../contract/flags/help-text.ts'
import { nearestName } from '../contract/flags/nearest-name.ts'
import type { NodeFlagValues } from '../contract/flags/node-flag-values.ts'
import { workingFlags } from '../contract/flags/working-flags.ts'
import type { ConfigurationWarning, NodeConfiguration } from '../contract/node-configuration.ts'
import { nodeFlags } from '../contract/node-flags.ts'
import { fail, ok } from './result.ts'
import type { Result } from './result.ts'

export type NodeCommand =
  | { readonly kind: 'run'; readonly configuration: NodeConfiguration; readonly warnings: readonly ConfigurationWarning[] }
  /** To be printed as it is; exit 0. */
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }

/** `argv` without interpreter and program. A problem is one sentence for standard error, exit 1; no file has been touched. */
export function parseNodeArguments(argv: readonly string[]): Result<NodeCommand, FlagProblem> {
  const given = new Map<string, FlagValue>()
  let rest: readonly string[] = []
  for (const token of readGoFlags(argv, lookup)) {
    if (token.kind === 'problem') return fail(syntaxProblem(token.problem))
    if (token.kind === 'rest') {
      rest = token.arguments
      continue
    }
    // `-h` is Go's own second word for help; like Go, it ends the reading.
    if (token.name === 'help' || token.name === 'h') return ok({ kind: 'help', text: helpText() })
    const value = flagValue(token.name, token.value)
    if (!value.ok) return value
    given.set(token.name, value.value)
  }
  if (given.get('version') === true) return ok({ kind: 'version' })
  const dataDir = onlyDataDir(rest)
  return dataDir.ok ? configure(withDefaults(given), dataDir.value) : dataDir
}

function configure(flags: NodeFlagValues, dataDir: string): Result<NodeCommand, FlagProblem> {
  const conflict = checkFlagValues(flags)
  if (conflict !== undefined) return fail(conflict)
  const configuration = configurationFromFlags(flags, dataDir)
  const addressConflict = checkAddresses(configuration)
  if (addressConflict !== undefined) return fail(addressConflict)
  return ok({ kind: 'run', configuration, warnings: configurationWarnings(configuration, flags) })
}

function lookup(name: string): 'takes-value' | 'boolean' | 'unknown' {
  if (name === 'h') return 'boolean'
  const flag = nodeFlags.get(name)
  if (flag === undefined) return 'unknown'
  return flag.kind === 'bool' ? 'boolean' : 'takes-value'
}

function flagValue(name: string, text: string): Result<FlagValue, FlagProblem> {
  const flag = nodeFlags.get(name)
  if (flag === undefined) return fail(syntaxProblem({ code: 'flag_unknown', name }))
  switch (flag.status) {
    case 'later':
      return fail({ code: 'flag_not_supported_yet', flag: name, message: `-${name} is not supported yet. ${flag.why ?? ''}`.trimEnd() })
    case 'gone':
      return fail({ code: 'flag_gone', flag: name, message: `-${name} is no longer an option. ${flag.help}` })
    case 'now':
      return valueOfKind(name, text)
  }
}

function valueOfKind(name: string, text: string): Result<FlagValue, FlagProblem> {
  const kind = nodeFlags.get(name)?.kind ?? 'string'
  const parsed = parseFlagValue(kind, text)
  if (!parsed.ok) return fail({ code: 'flag_value_invalid', flag: name, message: `the value of -${name}: ${parsed.problem}` })
  const emptyAddress = parsed.value === undefined && kind === 'address' && nodeFlags.get(name)?.default !== ''
  return emptyAddress ? fail({ code: 'flag_value_invalid', flag: name, message: `the value of -${name} is empty` }) : parsed
}

/** Every default is parsed by the same rules as what a person types; a test walks through them all. */
function withDefaults(given: ReadonlyMap<string, FlagValue>): NodeFlagValues {
  const values = Object.entries(workingFlags).map(([name, row]) => {
    if (given.has(name)) return [name, given.get(name)]
    const parsed = parseFlagValue(row.kind, row.default)
    if (!parsed.ok) throw new Error(`the default of -${name} is not valid: ${parsed.problem}`)
    return [name, parsed.value]
  })
  return Object.fromEntries(values) as NodeFlagValues
}

function onlyDataDir(rest: readonly string[]): Result<string, FlagProblem> {
  const [dataDir, extra] = rest
  if (dataDir === undefined || dataDir === '') {
    return fail({ code: 'data_dir_missing', flag: undefined, message: 'the data directory is missing: securesql-node [flags] DATA_DIR' })
  }
  if (extra === undefined) return ok(dataDir)
  const hint = extra.startsWith('-') ? ': flags stand before the data directory' : ': one data directory, and nothing behind it'
  return fail({ code: 'arguments_extra', flag: undefined, message: `too many arguments${hint}` })
}

function syntaxProblem(problem: SyntaxProblem): FlagProblem {
  switch (problem.code) {
    case 'flag_syntax':
      return { code: problem.code, flag: undefined, message: 'an argument begins like a flag but has no name' }
    case 'flag_value_missing':
      return { code: problem.code, flag: problem.name, message: `-${problem.name} needs a value` }
    case 'flag_unknown': {
      const near = nearestName(problem.name, nodeFlags.keys())
      const hint = near === undefined ? 'see -help' : `did you mean -${near}?`
      return { code: problem.code, flag: problem.name, message: `-${problem.name.slice(0, 60)} is not a known flag: ${hint}` }
    }
  }
}
