// Reading and writing the binary bodies of peer frames. A reader never reads past its end and never throws at its callers: the first thing that is wrong is kept as
// `defect`, everything read after it is zero or empty, and `end()` says whether the body was exactly what it should be.
import { readUint53 } from '../raft/entry.ts'

export type WireDefect = 'body_cut' | 'body_too_long' | 'number_too_large' | 'not_a_boolean' | 'not_utf8' | 'unknown_value'

/** `ignoreBOM` keeps a leading U+FEFF: what is decoded must encode to the same bytes again, or proofs over it would differ. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Strings are names, addresses, codes, paths and query strings: a length of two bytes is enough. */
const textBytesMax = 0xffff

/** Most bodies without entries fit in one piece. */
const pieceBytes = 128

/** Small fields are gathered in one piece: an array for each would cost more than everything else on the way to the socket. */
export class WireWriter {
  readonly #parts: Uint8Array[] = []
  #piece = Buffer.allocUnsafe(pieceBytes)
  #from = 0
  #at = 0

  u8(value: number): this {
    this.#need(1)
    this.#at = this.#piece.writeUInt8(value, this.#at)
    return this
  }

  u32(value: number): this {
    this.#need(4)
    this.#at = this.#piece.writeUInt32BE(value, this.#at)
    return this
  }

  /** An index, a term or another counter below 2^53. */
  u53(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an unsigned 53-bit integer: ${value}`)
    this.#need(8)
    this.#at = this.#piece.writeUInt32BE(Math.floor(value / 2 ** 32), this.#at)
    this.#at = this.#piece.writeUInt32BE(value % 2 ** 32, this.#at)
    return this
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  text(value: string): this {
    const bytes = Buffer.from(value, 'utf8')
    if (bytes.length > textBytesMax) throw new RangeError(`a text of ${bytes.length} bytes does not fit`)
    return this.u8(bytes.length >>> 8)
      .u8(bytes.length & 0xff)
      .bytes(bytes)
  }

  /** Taken as they are, without a length: the last thing of a body, or of a length that both ends know. Long ones are not copied. */
  bytes(value: Uint8Array): this {
    if (value.length > pieceBytes) {
      this.#endPiece()
      this.#parts.push(value)
      return this
    }
    this.#need(value.length)
    this.#piece.set(value, this.#at)
    this.#at += value.length
    return this
  }

  /** Ends the writing. */
  parts(): readonly Uint8Array[] {
    this.#endPiece()
    return this.#parts
  }

  concat(): Buffer {
    return Buffer.concat(this.parts())
  }

  #need(bytes: number): void {
    if (this.#at + bytes <= this.#piece.length) return
    this.#endPiece()
    this.#piece = Buffer.allocUnsafe(pieceBytes)
    this.#from = 0
    this.#at = 0
  }

  #endPiece(): void {
    if (this.#at > this.#from) this.#parts.push(this.#piece.subarray(this.#from, this.#at))
    this.#from = this.#at
  }
}

export class WireReader {
  readonly #view: DataView
  readonly #body: Uint8Array
  #at = 0
  #defect: WireDefect | undefined

  constructor(body: Uint8Array) {
    this.#body = body
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  }

  get defect(): WireDefect | undefined {
    return this.#defect
  }

  get remaining(): number {
    return this.#body.length - this.#at
  }

  u8(): number {
    return this.#take(1) ? this.#view.getUint8(this.#at - 1) : 0
  }

  u16(): number {
    return this.#take(2) ? this.#view.getUint16(this.#at - 2) : 0
  }

  u32(): number {
    return this.#take(4) ? this.#view.getUint32(this.#at - 4) : 0
  }

  u53(): number {
    if (!this.#take(8)) return 0
    // 2^53 and more would lose digits.
    if (this.#view.getUint32(this.#at - 8) > 0x1fffff) return this.#wrong('number_too_large', 0)
    return readUint53(this.#view, this.#at - 8)
  }

  bool(): boolean {
    const value = this.u8()
    return value <= 1 ? value === 1 : this.#wrong('not_a_boolean', false)
  }

  text(): string {
    const bytes = this.bytes(this.u16())
    try {
      return utf8.decode(bytes)
    } catch {
      // The fatal decoder throws on bytes that are not UTF-8 and on nothing else.
      return this.#wrong('not_utf8', '')
    }
  }

  /** A view into the body. */
  bytes(length: number): Uint8Array {
    return this.#take(length) ? this.#body.subarray(this.#at - length, this.#at) : new Uint8Array()
  }

  rest(): Uint8Array {
    return this.bytes(this.remaining)
  }

  /** One of `values`, written as its position counted from 1. */
  oneOf<const Value>(values: readonly Value[]): Value | undefined {
    const value = values[this.u8() - 1]
    return value === undefined ? this.#wrong('unknown_value', undefined) : value
  }

  /** Undefined: the body was whole, and nothing is left of it. */
  end(): WireDefect | undefined {
    if (this.#defect === undefined && this.remaining > 0) this.#defect = 'body_too_long'
    return this.#defect
  }

  #take(length: number): boolean {
    if (this.#defect !== undefined) return false
    if (this.remaining < length) return this.#wrong('body_cut', false)
    this.#at += length
    return true
  }

  #wrong<Value>(defect: WireDefect, value: Value): Value {
    this.#defect ??= defect
    return value
  }
}
