// The JSON answer to statements, byte for byte rqlite's: fixed order of keys, zero and empty fields left out. Written as text by hand: object keys may be any
// column name (`__proto__` too), and integers keep all their 64 bits.
import type { Column, SqlValue, StatementResult } from '../command/command.ts'
import type { Steps } from '../command/steps.ts'
import { indentJson } from './json-indent.ts'
import { sqliteTime } from './sqlite-time.ts'

export interface ResultsFormat {
  readonly associative: boolean
  readonly blobArray: boolean
  readonly timings: boolean
  readonly pretty: boolean
  /** Columns are called `table.column`; those of no table keep their name. */
  readonly qualifyColumns: boolean
  /** An associative query answers an error with empty rows beside it, as rqlite's does; the other two with the error alone. */
  readonly isQuery: boolean
  readonly bytesMax: number
}

export interface ResultsEnvelope {
  readonly results: readonly StatementResult[]
  /** Of the whole request; shown with `timings`. */
  readonly seconds: number
  readonly raftIndex: number | undefined
}

type RowsResult = Extract<StatementResult, { readonly kind: 'rows' }>

const textLike = /^(?:text|json|varchar.*|varying character.*|nchar.*|native character.*|nvarchar.*|clob.*|)$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** So much is written in one step: some milliseconds. */
const stepWeight = 512 * 1024
/** What a result or a row takes beside its characters. */
const itemWeight = 128

/** Undefined: longer than `bytesMax` characters. */
export function* resultsJson(envelope: ResultsEnvelope, format: ResultsFormat): Steps<string | undefined> {
  const items: string[] = []
  let length = 0
  let weight = 0
  for (const result of envelope.results) {
    const item = result.kind === 'rows' ? yield* rowsJson(result, format, format.bytesMax - length) : changeJson(result, format)
    if (item === undefined) return undefined
    length += item.length
    items.push(item)
    weight += itemWeight + item.length
    if (weight > stepWeight) {
      weight = 0
      yield
    }
  }
  const time = format.timings ? `,"time":${numberJson(envelope.seconds)}` : ''
  const index = envelope.raftIndex === undefined ? '' : `,"raft_index":${envelope.raftIndex}`
  const json = `{"results":[${items.join(',')}]${time}${index}}`
  return format.pretty ? indentJson(json) : json
}

function timeOf({ seconds }: StatementResult, { timings }: ResultsFormat): readonly string[] {
  return timings && seconds > 0 ? [`"time":${numberJson(seconds)}`] : []
}

function changeJson(result: Exclude<StatementResult, RowsResult>, format: ResultsFormat): string {
  switch (result.kind) {
    case 'error':
      return `{${format.associative && format.isQuery ? '"rows":[],' : ''}"error":${stringJson(result.message)}}`
    case 'written': {
      const id = result.lastInsertId === 0n ? [] : [`"last_insert_id":${result.lastInsertId}`]
      const rows = result.rowsAffected === 0 ? [] : [`"rows_affected":${result.rowsAffected}`]
      return `{${[...id, ...rows, ...timeOf(result, format), ...(format.associative ? ['"rows":null'] : [])].join(',')}}`
    }
  }
}

function* rowsJson(result: RowsResult, format: ResultsFormat, bytesLeft: number): Steps<string | undefined> {
  const time = timeOf(result, format)
  const named = format.qualifyColumns ? result.columns.map(qualified) : result.columns
  const columns = format.associative ? columnsByName(named) : named.map((column, at) => ({ column, at }))
  const rows: string[] = []
  let length = 0
  let weight = 0
  for (const row of result.rows) {
    const values = columns.map(({ column, at }) => {
      const value = valueJson(row[at] ?? null, column.declaredType, format.blobArray)
      return format.associative ? `${stringJson(column.name)}:${value}` : value
    })
    const json = format.associative ? `{${values.join(',')}}` : `[${values.join(',')}]`
    length += json.length
    if (length > bytesLeft) return undefined
    rows.push(json)
    weight += itemWeight + json.length
    if (weight > stepWeight) {
      weight = 0
      yield
    }
  }
  const types = columns.map(({ column, at }) => stringJson(typeOf(column, result.rows[0]?.[at] ?? null)))
  const names = columns.map(({ column }) => stringJson(column.name))
  if (format.associative) {
    const typed = types.length === 0 ? [] : [`"types":{${types.map((type, at) => `${names[at]}:${type}`).join(',')}}`]
    return `{${[...typed, `"rows":[${rows.join(',')}]`, ...time].join(',')}}`
  }
  const head = names.length === 0 ? [] : [`"columns":[${names.join(',')}]`, `"types":[${types.join(',')}]`]
  return `{${[...head, ...(rows.length === 0 ? [] : [`"values":[${rows.join(',')}]`]), ...time].join(',')}}`
}

function qualified(column: Column): Column {
  return column.table === undefined ? column : { ...column, name: `${column.table}.${column.name}` }
}

// An object has each name once, the last column of a name wins, in the order of the alphabet (rqlite encodes a Go map).
function columnsByName(columns: readonly Column[]): readonly { readonly column: Column; readonly at: number }[] {
  const byName = new Map(columns.map((column, at) => [column.name, { column, at }]))
  return [...byName.values()].sort((left, right) => Buffer.compare(Buffer.from(left.column.name), Buffer.from(right.column.name)))
}

/** An expression has no declared type: it is what its first row holds. */
function typeOf(column: Column, first: SqlValue): string {
  if (column.declaredType !== '' || first === null) return column.declaredType
  if (typeof first === 'string') return 'text'
  if (typeof first === 'bigint') return 'integer'
  if (typeof first === 'number') return 'real'
  return textOf(first) === undefined ? 'blob' : 'text'
}

function valueJson(value: SqlValue, declaredType: string, blobArray: boolean): string {
  if (value === null) return 'null'
  const time = sqliteTime(value, declaredType)
  if (time !== undefined) return stringJson(time)
  if (typeof value === 'string') return stringJson(value)
  if (typeof value === 'bigint') return declaredType === 'boolean' ? String(value > 0n) : String(value)
  if (typeof value === 'number') return numberJson(value)
  // rqlite shows bytes of a text-like column as text; where they are not text they stay bytes here, instead of turning into question marks.
  const text = textLike.test(declaredType) ? textOf(value) : undefined
  if (text !== undefined) return stringJson(text)
  return blobArray ? `[${value.join(',')}]` : `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}"`
}

/** JSON has no infinities; SQLite does (9e999). */
function numberJson(value: number): string {
  if (!Number.isFinite(value)) return 'null'
  return Object.is(value, -0) ? '-0' : String(value)
}

function stringJson(text: string): string {
  const json = JSON.stringify(text)
  // Go escapes the two line separators of JavaScript as well.
  return /[\u2028\u2029]/.test(json) ? json.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029') : json
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined // the fatal decoder throws on what is not UTF-8
  }
}
