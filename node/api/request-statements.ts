// The body of /db/execute, /db/query and /db/request: `["SQL", ["SQL", parameter, …], …]`, or one statement as text/plain. Integers keep all 64 bits.
import type { Refusal, RefusalCode } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Parameters, SqlValue, Statement } from '../command/command.ts'
import type { Steps } from '../command/steps.ts'
import { parseExactJson, Real } from './exact-json.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const none: Parameters = { kind: 'positional', values: [] }

/** Between two steps others may have their turn: so many statements, or values of one list, are looked at in one. */
const stepLength = 4_096

/** Undefined between steps of a few milliseconds. The first one is longer: JSON is read in one go. */
export function* statementsIn(body: Uint8Array, contentType: string): Steps<Result<readonly Statement[], Refusal>> {
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
    const statement = Array.isArray(item) && item.length > stepLength ? yield* parseLongStatement(item) : parseStatement(item)
    if (!statement.ok) return statement
    if (statements.push(statement.value) % stepLength === 0) yield
  }
  return ok(statements)
}

function parseStatement(item: unknown): Result<Statement, Refusal> {
  if (typeof item === 'string') return ok({ sql: item, parameters: none })
  if (!Array.isArray(item)) return refuse('invalid_request', 'invalid request')
  const list: readonly unknown[] = item
  const [sql] = list
  if (typeof sql !== 'string') return refuse('invalid_request', 'invalid request')
  const parameters = parseParameters(list.slice(1))
  return parameters.ok ? ok({ sql, parameters: parameters.value }) : parameters
}

/** The same of a list of very many values. */
function* parseLongStatement(list: readonly unknown[]): Steps<Result<Statement, Refusal>> {
  const [sql] = list
  if (typeof sql !== 'string' || list.some(isObject)) return parseStatement(list)
  const values: SqlValue[] = []
  for (let at = 1; at < list.length; at += stepLength) {
    const part = parseParameters(list.slice(at, at + stepLength))
    if (!part.ok) return part
    for (const value of part.value.values.values()) values.push(value)
    yield
  }
  return ok({ sql, parameters: { kind: 'positional', values } })
}

// One object makes the statement's parameters named; several are taken together. Names and positions cannot be mixed: SQLite would number what we cannot see.
function parseParameters(given: readonly unknown[]): Result<Parameters, Refusal> {
  if (!given.some(isObject)) {
    const values: SqlValue[] = []
    for (const item of given) {
      const value = parseValue(item)
      if (value === undefined) return unsupported(item)
      values.push(value)
    }
    return ok({ kind: 'positional', values })
  }
  const values = new Map<string, SqlValue>()
  for (const item of given) {
    if (!isObject(item)) return refuse('invalid_request', 'invalid request: named and positional parameters in one statement')
    for (const [name, field] of Object.entries(item)) {
      const value = parseValue(field)
      if (value === undefined) return unsupported(field)
      values.set(name, value)
    }
  }
  return ok({ kind: 'named', values })
}

/** Undefined: no value of SQL. There may be millions in a body, so it is no Result. */
function parseValue(value: unknown): SqlValue | undefined {
  if (value === null || typeof value === 'bigint') return value
  // JSON can write numbers that no double holds.
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : Number.isFinite(value) ? value : undefined
  if (value instanceof Real) return value.value
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value === 'string') return parseBlobLiteral(value) ?? value
  return Array.isArray(value) && value.every(isByte) ? Uint8Array.from(value) : undefined
}

function unsupported(value: unknown): Result<never, Refusal> {
  const type = typeof value === 'number' ? 'number out of range' : Array.isArray(value) ? 'list' : typeof value
  return refuse('unsupported_parameter_type', `unsupported type ${type}`)
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
    // The exact one costs several times as much, so it is paid only where a number may not be what it seems: 2^53 has 16 digits; 1.0 and 1e3 are whole, but no integers.
    const value: unknown = /\d{16}|\d\.0+(?!\d)|\d[eE][-+]?\d/.test(text) ? parseExactJson(text) : JSON.parse(text)
    return value
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined
    throw error
  }
}

function refuse(code: RefusalCode, message: string): Result<never, Refusal> {
  return fail({ code, message })
}
