// A whole database file on its way through the log, in steps: it is announced, comes in chunks that every node keeps in its database (so a snapshot that is taken meanwhile
// carries them), and at the end takes the database's place on every node at the same entry. Each step names the load that it belongs to, so that one that is sent
// again, or comes late, changes nothing.
// Layout, big-endian: u8 mark | u8 version | u8 kind | 16 bytes id | then: begin: f64 bytes; chunk: f64 offset, data to the end; end: f64 bytes, 32 bytes hash; abort: nothing.
// An end that replaces nothing is a kind and a version of its own on the wire.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { CommandDefect } from './command-codec.ts'

export type LoadStep =
  | { readonly kind: 'load-begin'; readonly id: string; readonly bytes: number }
  | { readonly kind: 'load-chunk'; readonly id: string; readonly offset: number; readonly data: Uint8Array }
  /** `hash`: SHA-256 of the whole file, hexadecimal. `onto`: what may be there at that moment; a file that came as text must not take the place of what it was meant to be added to. */
  | { readonly kind: 'load-end'; readonly id: string; readonly bytes: number; readonly hash: string; readonly onto: 'anything' | 'nothing' }
  | { readonly kind: 'load-abort'; readonly id: string }

/** 16 bytes, hexadecimal: chosen by the node that received the file. */
const idPattern = /^[0-9a-f]{32}$/
/** Where a command has its version: to programs that know no load steps they are commands of a later version, at which they stop instead of skipping them. */
const mark = 0x40
const version = 1
/** Of an end onto nothing: programs that know no such condition stop, instead of leaving it out. */
const conditionVersion = 2
const kinds = ['load-begin', 'load-chunk', 'load-end', 'load-abort'] as const
/** Behind those. */
const conditionalEnd = kinds.length
const headBytes = 19
const hashBytes = 32

/** So much of the file in one entry: below what the state machine applies in place, and little beside what a follower takes at a time. */
export const loadChunkBytesMax = 512 * 1024

/** Gives a row where there is anything that a user has made, rows in it or not: what an end that replaces nothing asks. */
export const findAnything =
  "SELECT 1 FROM main.sqlite_schema WHERE name NOT LIKE '\\_securesql\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' LIMIT 1"

export function isLoadStep(bytes: Uint8Array): boolean {
  return bytes[0] === mark
}

/** Data on its way, which nobody sees before the end. */
export function isLoadChunk(bytes: Uint8Array): boolean {
  return isLoadStep(bytes) && bytes[2] === kinds.indexOf('load-chunk')
}

/** Of a load step: whether it is a last one. */
export function isLoadEnd(bytes: Uint8Array): boolean {
  return isLoadStep(bytes) && (bytes[2] === kinds.indexOf('load-end') || bytes[2] === conditionalEnd)
}

export function encodeLoadStep(step: LoadStep): Uint8Array {
  if (!idPattern.test(step.id)) throw new RangeError('a load is named by 16 bytes, hexadecimal')
  const tail = tailOf(step)
  const bytes = new Uint8Array(headBytes + tail.length)
  const isConditional = step.kind === 'load-end' && step.onto === 'nothing'
  bytes.set(isConditional ? [mark, conditionVersion, conditionalEnd] : [mark, version, kinds.indexOf(step.kind)])
  bytes.set(Buffer.from(step.id, 'hex'), 3)
  bytes.set(tail, headBytes)
  return bytes
}

function tailOf(step: LoadStep): Uint8Array {
  switch (step.kind) {
    case 'load-begin':
      return number(step.bytes)
    case 'load-chunk':
      return Buffer.concat([number(step.offset), step.data])
    case 'load-end':
      return Buffer.concat([number(step.bytes), Buffer.from(step.hash, 'hex')])
    case 'load-abort':
      return new Uint8Array(0)
  }
}

function number(value: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes
}

/** Of bytes that are a load step. The data of a chunk is a view into `bytes`. */
export function decodeLoadStep(bytes: Uint8Array): Result<LoadStep, CommandDefect> {
  if (bytes.length < headBytes) return fail('command_cut')
  const [, given = 0, wireKind = 0] = bytes
  if (given !== version && given !== conditionVersion) return fail(given > conditionVersion ? 'command_version' : 'command_shape')
  if ((given === conditionVersion) !== (wireKind === conditionalEnd)) return fail('command_shape')
  const kind = wireKind === conditionalEnd ? 'load-end' : kinds[wireKind]
  if (kind === undefined) return fail('command_shape')
  const id = hex(bytes.subarray(3, headBytes))
  const tail = bytes.subarray(headBytes)
  if (kind === 'load-abort') return tail.length === 0 ? ok({ kind, id }) : fail('command_trailing')
  const value = tail.length < 8 ? undefined : new DataView(tail.buffer, tail.byteOffset, 8).getFloat64(0)
  if (value === undefined) return fail('command_cut')
  if (!Number.isSafeInteger(value) || value < 0) return fail('command_shape')
  const rest = tail.subarray(8)
  switch (kind) {
    case 'load-begin':
      return rest.length === 0 ? ok({ kind, id, bytes: value }) : fail('command_trailing')
    case 'load-chunk':
      return ok({ kind, id, offset: value, data: rest })
    case 'load-end':
      if (rest.length !== hashBytes) return fail(rest.length < hashBytes ? 'command_cut' : 'command_trailing')
      return ok({ kind, id, bytes: value, hash: hex(rest), onto: wireKind === conditionalEnd ? 'nothing' : 'anything' })
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}
