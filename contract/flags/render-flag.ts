// The operator's side of the table: a pod's argument from a flag's name and a typed value.
import assert from 'node:assert/strict'
import { formatGoDuration } from '../go-duration.ts'
import type { FlagKind } from './flag.ts'
import { workingFlags } from './working-flags.ts'
import type { WorkingFlag, WorkingFlags } from './working-flags.ts'

interface RenderedValue {
  readonly string: string
  readonly path: string
  readonly bool: boolean
  readonly int: number
  /** Milliseconds. */
  readonly duration: number
  readonly address: string
  readonly 'join-list': readonly string[]
  readonly 'log-level': string
  readonly 'disco-mode': string
}

/**
 * `-name=value`: the one form that Go's syntax takes for every kind, booleans too. Only flags that work can be rendered.
 * A line break or NUL in a value is a bug of the caller: names and addresses are parsed long before.
 */
export function renderFlag<Name extends WorkingFlag>(name: Name, value: RenderedValue[WorkingFlags[Name]['kind']]): string {
  const text = renderValue(workingFlags[name].kind, value)
  assert(!/[\0\r\n]/.test(text), `the value of -${name} holds a control character`)
  return `-${name}=${text}`
}

function renderValue(kind: FlagKind, value: string | boolean | number | readonly string[]): string {
  if (typeof value === 'object') return value.join(',')
  if (typeof value === 'number' && kind === 'duration') return formatGoDuration(value)
  return String(value)
}
