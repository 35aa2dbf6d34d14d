// A flag's text becomes a value of its kind.
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import { parseGoDuration } from '../go-duration.ts'
import { parseHostPort } from '../host-port.ts'
import type { HostPort } from '../host-port.ts'
import type { DiscoveryMode, JoinTarget, RaftConfiguration } from '../node-configuration.ts'
import type { FlagKind } from './flag.ts'
import { parseJoinList } from './join-list.ts'
import { logLevels } from './working-flags.ts'

export interface FlagValueOf {
  /** Empty text is "not set". */
  readonly string: string | undefined
  readonly path: string | undefined
  readonly bool: boolean
  readonly int: number
  readonly duration: number
  readonly address: HostPort | undefined
  readonly 'join-list': readonly JoinTarget[]
  readonly 'log-level': RaftConfiguration['logLevel']
  readonly 'disco-mode': DiscoveryMode | undefined
}

export type FlagValue = FlagValueOf[FlagKind]

/** Problem: a phrase that follows "the value of -x:". It repeats the text only of kinds that cannot hold a secret. */
export function parseFlagValue(kind: FlagKind, text: string): Result<FlagValue, string> {
  switch (kind) {
    case 'string':
    case 'path':
      if (text.includes('\0')) return fail('it holds a NUL character')
      return ok(text === '' ? undefined : text)
    case 'bool':
      return parseBool(text)
    case 'int':
      return parseInteger(text)
    case 'duration':
      return parseDuration(text)
    case 'address':
      return parseAddress(text)
    case 'join-list':
      return parseJoinList(text)
    case 'log-level':
      return parseLogLevel(text)
    case 'disco-mode':
      return parseDiscoveryMode(text)
  }
}

// The words of Go's strconv.ParseBool.
const trueWords = ['1', 't', 'T', 'true', 'TRUE', 'True']
const falseWords = ['0', 'f', 'F', 'false', 'FALSE', 'False']

function parseBool(text: string): Result<boolean, string> {
  if (trueWords.includes(text)) return ok(true)
  if (falseWords.includes(text)) return ok(false)
  return fail(`${JSON.stringify(text)} is neither true nor false`)
}

// Counts and bytes of a buffer: beyond any use, and what a 32-bit counter of another program could still read.
const integerMax = 2 ** 31 - 1

function parseInteger(text: string): Result<number, string> {
  const value = /^\+?(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN
  return value <= integerMax ? ok(value) : fail(`${JSON.stringify(text)} is not a whole number from 0 to ${integerMax}`)
}

function parseDuration(text: string): Result<number, string> {
  const parsed = parseGoDuration(text)
  if (!parsed.ok) return fail(parsed.problem.message)
  return parsed.value >= 0 ? parsed : fail(`${JSON.stringify(text)} is negative`)
}

function parseAddress(text: string): Result<HostPort | undefined, string> {
  if (text === '') return ok(undefined)
  const parsed = parseHostPort(text)
  return parsed.ok ? parsed : fail(`${JSON.stringify(text)}: ${parsed.problem.message}`)
}

function parseLogLevel(text: string): Result<RaftConfiguration['logLevel'], string> {
  const level = logLevels.find((known) => known === text.toUpperCase())
  switch (level) {
    case 'DEBUG':
      return ok('debug')
    case 'INFO':
      return ok('info')
    case 'WARN':
      return ok('warn')
    case 'ERROR':
      return ok('error')
    case 'OFF':
      return ok('silent')
    case undefined:
      return fail(`${JSON.stringify(text)} is none of ${logLevels.join(', ')}`)
  }
}

function parseDiscoveryMode(text: string): Result<DiscoveryMode | undefined, string> {
  switch (text) {
    case '':
      return ok(undefined)
    case 'dns':
    case 'dns-srv':
      return ok(text)
    case 'consul-kv':
    case 'etcd-kv':
      return fail(`${text} is not supported yet; dns and dns-srv are`)
    default:
      return fail(`${JSON.stringify(text)} is neither dns nor dns-srv`)
  }
}
