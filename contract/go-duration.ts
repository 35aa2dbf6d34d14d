// Durations as rqlite's flags and query parameters write them: Go's syntax (`1h30m`, `1.5s`, `50ms`, `0`), kept in milliseconds on our side.
import { fail, ok } from '../runtime/result.ts'
import type { Result } from '../runtime/result.ts'

const msOfUnit: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

// Go keeps a duration in 63 bits of nanoseconds: about 292 years. Beyond it Go refuses too.
const durationMsMax = (2 ** 63 - 1) / 1e6

// Longest units first, or `ms` would be read as `m` with an `s` left over. Each number needs a digit on at least one side of its point.
const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y

export interface DurationProblem {
  readonly code: 'not_a_duration'
  readonly message: string
}

function notADuration(text: string, why: string): Result<never, DurationProblem> {
  return fail({ code: 'not_a_duration', message: `${JSON.stringify(text.slice(0, 40))} is not a duration: ${why}` })
}

/** Milliseconds, with a fraction where the text is finer; negative when it begins with `-`: callers say what range they take. A bare `0` needs no unit, every other number does. */
export function parseGoDuration(text: string): Result<number, DurationProblem> {
  const negative = text.startsWith('-')
  const digits = negative || text.startsWith('+') ? text.slice(1) : text
  if (digits === '0') return ok(0)
  if (digits === '') return notADuration(text, 'it is empty')
  let totalMs = 0
  part.lastIndex = 0
  while (part.lastIndex < digits.length) {
    const match = part.exec(digits)
    if (match === null) return notADuration(text, 'write numbers with units, for example 1m30s, 1.5s or 50ms')
    totalMs += Number(match[1]) * (msOfUnit[match[2] ?? ''] ?? Number.NaN)
  }
  if (!(totalMs <= durationMsMax)) return notADuration(text, 'it is longer than 292 years')
  return ok(negative ? -totalMs : totalMs)
}

/** The shortest exact text that parses back to the same milliseconds. */
export function formatGoDuration(durationMs: number): string {
  if (durationMs === 0) return '0s'
  for (const [unit, ms] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const) {
    if (durationMs % ms === 0) return `${durationMs / ms}${unit}`
  }
  return `${durationMs}ms`
}

/** As Go prints it (time.Duration.String): `1h0m0s`, `1m30.5s`, `12.5ms`, `345µs`, `0s`. For what people and rqlite's clients read. */
export function printGoDuration(durationMs: number): string {
  if (durationMs === 0) return '0s'
  if (durationMs < 0) return `-${printGoDuration(-durationMs)}`
  if (durationMs < 1e-3) return `${Math.round(durationMs * 1e6)}ns`
  if (durationMs < 1) return `${trimmed(durationMs * 1e3, 3)}µs`
  if (durationMs < 1000) return `${trimmed(durationMs, 6)}ms`
  const minutes = Math.floor(durationMs / 60_000)
  const seconds = `${trimmed((durationMs - minutes * 60_000) / 1000, 9)}s`
  if (minutes === 0) return seconds
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)))
}
