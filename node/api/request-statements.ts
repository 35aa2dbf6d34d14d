// The body of /db/execute, /db/query and /db/request: `["SQL", ["SQL", parameter, …], …]`, or one statement as text/plain. Integers keep all 64 bits.
import type { Refusal, RefusalCode } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Parameters, SqlValue, Statement } from '../command/command.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const none: Parameters = { kind: 'positional', values: [] }

export function parseStatements(body: Uint8Array, contentType: string): Result<readonly Statement[], Refusal> {
  const text = decode(body)
  if (contentType === 'text/plain') {
    return text === undefined ? refuse('invalid_request', 'the body is not UTF-8') : ok([{ sql: text, parameters: none }])
  }
  const json = text === undefined ? undefined : parseJson(text)
  if (json === undefined) return refuse('invalid_json', 'invalid JSON body')
  if (!Array.isArray(json)) return refuse('invalid_request', 'invalid request')
  if (json.length === 0) return refuse('no_statements', 'no statements')
  const statements: Statement[] = []
  for (const item of json) {
    const statement = parseStatement(item)
    if (!statement.ok) return statement
    statements.push(statement.value)
  }
  return ok(statements)
}

function parseStatement(item: unknown): Result<Statement, Refusal> {
  if (typeof item === 'string') return ok({ sql: item, parameters: none })
  if (!Array.isArray(item)) return refuse('invalid_request', 'invalid request')
  const [sql, ...given]: readonly unknown[] = item
  if (typeof sql !== 'string') return refuse('invalid_request', 'invalid request')
  const parameters = parseParameters(given)
  return parameters.ok ? ok({ sql, parameters: parameters.value }) : parameters
}

// One object makes the statement's parameters named; several are taken together. Names and positions cannot be mixed: SQLite would number what we cannot see.
function parseParameters(given: readonly unknown[]): Result<Parameters, Refusal> {
  if (!given.some(isObject)) {
    const values: SqlValue[] = []
    for (const item of given) {
      const value = parseValue(item)
      if (!value.ok) return value
      values.push(value.value)
    }
    return ok({ kind: 'positional', values })
  }
  const values = new Map<string, SqlValue>()
  for (const item of given) {
    if (!isObject(item)) return refuse('invalid_request', 'invalid request: named and positional parameters in one statement')
    for (const [name, field] of Object.entries(item)) {
      const value = parseValue(field)
      if (!value.ok) return value
      values.set(name, value.value)
    }
  }
  return ok({ kind: 'named', values })
}

function parseValue(value: unknown): Result<SqlValue, Refusal> {
  // JSON can write numbers that no double holds.
  if (typeof value === 'number' && !Number.isFinite(value))
    return refuse('unsupported_parameter_type', 'unsupported type number out of range')
  if (value === null || typeof value === 'bigint') return ok(value)
  if (typeof value === 'number') return ok(Number.isInteger(value) ? BigInt(value) : value)
  if (value instanceof Real) return ok(value.value)
  if (typeof value === 'boolean') return ok(value ? 1n : 0n)
  if (typeof value === 'string') return ok(parseBlobLiteral(value) ?? value)
  if (Array.isArray(value) && value.every(isByte)) return ok(Uint8Array.from(value))
  return refuse('unsupported_parameter_type', `unsupported type ${Array.isArray(value) ? 'list' : typeof value}`)
}

/** A whole string `x'HEX'` is a BLOB, as in SQL. */
function parseBlobLiteral(text: string): Uint8Array | undefined {
  if (text.length < 3 || (text[0] !== 'x' && text[0] !== 'X') || !/^.'(?:[0-9a-fA-F]{2})*'$/.test(text)) return undefined
  return new Uint8Array(Buffer.from(text.slice(2, -1), 'hex'))
}

function isByte(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Real)
}

function decode(body: Uint8Array): string | undefined {
  try {
    return utf8.decode(body)
  } catch {
    return undefined // the fatal decoder throws on what is not UTF-8
  }
}

/** Undefined: not JSON, or nested so deeply that the parser gives up. */
function parseJson(text: string): unknown {
  try {
    // The reviver costs ten times the parsing, so it is paid only where a number may not be what it seems: 2^53 has 16 digits; 1.0 and 1e3 are whole, but no integers.
    const value: unknown = /\d{16}|\d\.0+(?!\d)|\d[eE][-+]?\d/.test(text) ? JSON.parse(text, keepKinds) : JSON.parse(text)
    return value
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined
    throw error
  }
}

/** A number that is written as a REAL, or too long for an INTEGER, but whole. */
class Real {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** An integer literal of 64 bits stays exact; a longer one becomes a REAL, as in SQLite. The third argument holds the literal as it was written. */
function keepKinds(...[, value, context]: readonly unknown[]): unknown {
  if (typeof value !== 'number' || !Number.isInteger(value)) return value
  if (typeof context !== 'object' || context === null || !('source' in context) || typeof context.source !== 'string') return value
  if (!/^-?\d+$/.test(context.source)) return new Real(value)
  if (Number.isSafeInteger(value)) return value
  const exact = BigInt(context.source)
  return BigInt.asIntN(64, exact) === exact ? exact : new Real(value)
}

function refuse(code: RefusalCode, message: string): Result<never, Refusal> {
  return fail({ code, message })
}
