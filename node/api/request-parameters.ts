// The query string as rqlite reads it: names are case-sensitive, the first of several values wins, flags count by being there (`?transaction=false` turns it on),
// durations are Go's. Unknown names are ignored: clients send more than any server knows.
import { parseGoDuration } from '../../contract/go-duration.ts'
import type { Refusal } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'

const durations = ['timeout', 'freshness', 'db_timeout', 'linearizable_timeout'] as const
const integers = ['retries', 'trailing_logs'] as const

export interface RequestParameters {
  has(name: string): boolean
  text(name: string): string | undefined
  durationMs(name: (typeof durations)[number]): number | undefined
  integer(name: (typeof integers)[number]): number | undefined
}

const noParameters: Result<RequestParameters, Refusal> = ok({
  has: () => false,
  text: () => undefined,
  durationMs: () => undefined,
  integer: () => undefined,
})

export function parseRequestParameters(query: string): Result<RequestParameters, Refusal> {
  if (query === '') return noParameters
  const values = parsePairs(query)
  if (values === undefined) return refuse('the query string is not valid URL encoding')
  if (values.has('freshness_strict') && !values.has('freshness')) return refuse('freshness_strict requires freshness')
  const durationsMs = new Map<string, number>()
  for (const name of durations) {
    const text = values.get(name)
    if (text === undefined) continue
    const parsed = parseGoDuration(text)
    if (!parsed.ok) return refuse(`${name} is not a valid duration`)
    durationsMs.set(name, Math.max(0, parsed.value))
  }
  for (const name of integers) {
    const text = values.get(name)
    if (text !== undefined && !/^[+-]?\d{1,15}$/.test(text)) return refuse(`${name} is not a valid integer`)
  }
  if (values.get('q') === '') return refuse('query parameter not set')
  return ok({
    has: (name) => values.has(name),
    text: (name) => values.get(name),
    durationMs: (name) => durationsMs.get(name),
    integer: (name) => {
      const text = values.get(name)
      return text === undefined ? undefined : Number(text)
    },
  })
}

function parsePairs(query: string): Map<string, string> | undefined {
  const values = new Map<string, string>()
  try {
    for (const pair of query.split('&')) {
      if (pair === '') continue
      const equals = pair.indexOf('=')
      const name = decode(equals === -1 ? pair : pair.slice(0, equals))
      if (!values.has(name)) values.set(name, equals === -1 ? '' : decode(pair.slice(equals + 1)))
    }
    return values
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

function decode(text: string): string {
  return /[%+]/.test(text) ? decodeURIComponent(text.replaceAll('+', ' ')) : text
}

function refuse(message: string): Result<never, Refusal> {
  return fail({ code: 'invalid_parameter', message })
}
