// The bytes of a command in the log. Hand-written and versioned: every node must read what any node of the cluster has written, for as long as the log lives.
// Layout, big-endian: u8 version | u8 kind | u8 transaction | f64 proposedAtMs | 16 bytes seed | u32 statements | per statement: text sql | u8 0 positional, 1 named |
// u32 values | per value: (text name when named) u8 tag, then i64, f64, text or blob. text and blob: u32 length in bytes, then the bytes.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Command, Parameters, SqlValue, Statement } from './command.ts'
import { seedBytes } from './entry-moment.ts'

/** `command_version`: written by a newer program; a node that cannot read it must stop rather than skip it. The others: not a command at all. */
export type CommandDefect = 'command_version' | 'command_cut' | 'command_trailing' | 'command_shape'

const commandVersion = 1
const headerBytes = 15 + seedBytes
const tags = { null: 0, integer: 1, real: 2, text: 3, blob: 4 } as const
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function encodeCommand(command: Command): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(commandVersion)
  writer.u8(command.kind === 'execute' ? 0 : 1)
  writer.u8(command.transaction ? 1 : 0)
  writer.f64(command.proposedAtMs)
  if (command.seed.length !== seedBytes) throw new RangeError(`a seed of ${command.seed.length} bytes`)
  writer.raw(command.seed)
  writer.u32(command.statements.length)
  for (const statement of command.statements) {
    writer.text(statement.sql)
    writeParameters(writer, statement.parameters)
  }
  return writer.bytes()
}

function writeParameters(writer: ByteWriter, parameters: Parameters): void {
  if (parameters.kind === 'positional') {
    writer.u8(0)
    writer.u32(parameters.values.length)
    for (const value of parameters.values) writeValue(writer, value)
    return
  }
  writer.u8(1)
  writer.u32(parameters.values.size)
  for (const [name, value] of parameters.values) {
    writer.text(name)
    writeValue(writer, value)
  }
}

function writeValue(writer: ByteWriter, value: SqlValue): void {
  if (value === null) writer.u8(tags.null)
  else if (typeof value === 'string') {
    writer.u8(tags.text)
    writer.text(value)
  } else if (typeof value === 'bigint') {
    writer.u8(tags.integer)
    writer.i64(value)
  } else if (typeof value === 'number') {
    writer.u8(tags.real)
    writer.f64(value)
  } else {
    writer.u8(tags.blob)
    writer.blob(value)
  }
}

/** Texts and blobs are copied: nothing of the result points into `bytes`. */
export function decodeCommand(bytes: Uint8Array): Result<Command, CommandDefect> {
  if (bytes.length === 0) return fail('command_cut')
  const version = bytes[0] ?? 0
  if (version !== commandVersion) return fail(version > commandVersion ? 'command_version' : 'command_shape')
  if (bytes.length < headerBytes) return fail('command_cut')
  const reader = new ByteReader(bytes)
  try {
    reader.u8()
    const kind = (['execute', 'request'] as const)[reader.u8()]
    const transaction = [false, true][reader.u8()]
    const proposedAtMs = reader.f64()
    const seed = reader.raw(seedBytes)
    const count = reader.count(9) // the smallest statement: empty text, kind, no values
    if (kind === undefined || transaction === undefined) return fail('command_shape')
    const statements: Statement[] = []
    for (let at = 0; at < count; at += 1) statements.push({ sql: reader.text(), parameters: readParameters(reader) })
    return reader.atEnd() ? ok({ kind, statements, transaction, proposedAtMs, seed }) : fail('command_trailing')
  } catch (error) {
    if (error instanceof Malformed) return fail(error.defect)
    throw error
  }
}

function readParameters(reader: ByteReader): Parameters {
  const kind = reader.u8()
  if (kind > 1) throw new Malformed('command_shape')
  if (kind === 0) {
    const count = reader.count(1)
    return { kind: 'positional', values: Array.from({ length: count }, () => readValue(reader)) }
  }
  const count = reader.count(5)
  const values = new Map<string, SqlValue>()
  for (let at = 0; at < count; at += 1) {
    const name = reader.text()
    if (values.has(name)) throw new Malformed('command_shape')
    values.set(name, readValue(reader))
  }
  return { kind: 'named', values }
}

function readValue(reader: ByteReader): SqlValue {
  const tag = reader.u8()
  if (tag === tags.null) return null
  if (tag === tags.text) return reader.text()
  if (tag === tags.blob) return reader.blob()
  if (tag === tags.real) return reader.f64()
  if (tag !== tags.integer) throw new Malformed('command_shape')
  return reader.i64()
}

/** Thrown by the reader and caught by decodeCommand only: a check per field would bury the layout. */
class Malformed extends Error {
  readonly defect: CommandDefect
  constructor(defect: CommandDefect) {
    super(defect)
    this.defect = defect
  }
}

// Most commands fit, and it is only filled and copied within one call: memory of its own for each part of each command costs more than all the writing.
const scratch = new Uint8Array(4096)
const scratchView = new DataView(scratch.buffer)

const shortTextMax = 1024

class ByteWriter {
  #buffer = scratch
  #view = scratchView
  #length = 0

  /** Call it before #view and #buffer are looked at: it may replace both. */
  #reserve(size: number): number {
    const at = this.#length
    this.#length += size
    if (this.#length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#buffer.length * 2))
      grown.set(this.#buffer)
      this.#buffer = grown
      this.#view = new DataView(grown.buffer)
    }
    return at
  }

  u8(value: number): void {
    const at = this.#reserve(1)
    this.#view.setUint8(at, value)
  }
  u32(value: number): void {
    const at = this.#reserve(4)
    this.#view.setUint32(at, value)
  }
  f64(value: number): void {
    const at = this.#reserve(8)
    this.#view.setFloat64(at, value)
  }
  i64(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new RangeError('an integer of more than 64 bits')
    const at = this.#reserve(8)
    this.#view.setBigInt64(at, value)
  }
  blob(value: Uint8Array): void {
    this.u32(value.length)
    this.raw(value)
  }
  raw(value: Uint8Array): void {
    const at = this.#reserve(value.length)
    this.#buffer.set(value, at)
  }
  text(value: string): void {
    if (value.length > shortTextMax) return this.blob(encoder.encode(value))
    const at = this.#reserve(4)
    // A UTF-16 unit becomes three bytes at most; what is not needed is given back.
    const textAt = this.#reserve(value.length * 3)
    const { written } = encoder.encodeInto(value, this.#buffer.subarray(textAt))
    this.#length = textAt + written
    this.#view.setUint32(at, written)
  }
  bytes(): Uint8Array {
    return this.#buffer.slice(0, this.#length)
  }
}

class ByteReader {
  readonly #bytes: Uint8Array
  readonly #buffer: Buffer
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  #take(size: number): number {
    const at = this.#at
    if (size > this.#bytes.length - at) throw new Malformed('command_cut')
    this.#at = at + size
    return at
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4))
  }
  f64(): number {
    return this.#view.getFloat64(this.#take(8))
  }
  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8))
  }
  /** A number of things, each at least `bytesMin` long: a count that cannot be true is refused before anything is allocated for it. */
  count(bytesMin: number): number {
    const count = this.u32()
    if (count * bytesMin > this.#bytes.length - this.#at) throw new Malformed('command_cut')
    return count
  }
  blob(): Uint8Array {
    return this.raw(this.u32())
  }
  raw(length: number): Uint8Array {
    const at = this.#take(length)
    return this.#bytes.slice(at, at + length)
  }
  text(): string {
    const length = this.u32()
    const at = this.#take(length)
    // Buffer's decoder is several times faster for short texts, but puts U+FFFD where bytes are not UTF-8: a text without it was whole.
    const text = this.#buffer.toString('utf8', at, at + length)
    if (!text.includes('\ufffd')) return text
    try {
      return decoder.decode(this.#bytes.subarray(at, at + length))
    } catch {
      throw new Malformed('command_shape') // the fatal decoder throws on what is not UTF-8
    }
  }
  atEnd(): boolean {
    return this.#at === this.#bytes.length
  }
}
