// Values of columns declared DATE, DATETIME or TIMESTAMP, shown as RFC 3339 as rqlite's SQLite driver does: seconds or milliseconds since the epoch, or one of
// SQLite's own time strings. What is none of them is shown as it is stored: rqlite shows year 1 then, which loses the value.
import type { SqlValue } from '../command/command.ts'

const declaredTypes: ReadonlySet<string> = new Set(['date', 'datetime', 'timestamp'])
const timeText = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?([+-]\d\d:\d\d)?)?)?Z?$/
// Larger integers are milliseconds: as seconds this one is in the year 33658.
const secondsMax = 1_000_000_000_000

/** Undefined: not a time, show the value itself. */
export function sqliteTime(value: SqlValue, declaredType: string): string | undefined {
  if (!declaredTypes.has(declaredType)) return undefined
  if (typeof value === 'string') return fromText(value)
  if (typeof value === 'bigint') return fromInteger(Number(value))
  return undefined
}

function fromInteger(value: number): string | undefined {
  const ms = Math.abs(value) > secondsMax ? value : value * 1000
  const date = new Date(ms)
  const year = date.getUTCFullYear()
  if (!(year >= 0 && year <= 9999)) return undefined
  return date.toISOString().replace(/\.?0*Z$/, 'Z')
}

function fromText(text: string): string | undefined {
  const match = timeText.exec(text)
  if (match === null) return undefined
  const [, year = '', month = '', day = '', hour = '00', minute = '00', second = '00', fraction = '', offset = 'Z'] = match
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  // A day that the month does not have would be carried over into the next one.
  if (Number.isNaN(date.getTime()) || date.getUTCDate() !== Number(day) || Number(hour) > 23) return undefined
  const digits = fraction.slice(0, 9).replace(/0+$/, '')
  const zone = offset === '+00:00' || offset === '-00:00' ? 'Z' : offset
  return `${year}-${month}-${day}T${hour}:${minute}:${second}${digits === '' ? '' : `.${digits}`}${zone}`
}
