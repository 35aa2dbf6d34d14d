// How bodies stand on the wire between nodes: u32 length of what follows | u8 type | body. Big-endian. No checksum of its own: TLS has one, and log entries carry
// theirs from the leader's disk to the follower's.
//
// The length is judged before anything is kept, and memory is only taken for bytes that have arrived: a prefix that promises 4 GiB costs five bytes and the connection.

/** Types of frames. A number is never used twice; conversations of one question and one answer share two types, the hello says what they are about. */
export const frameTypes = {
  hello: 1,
  welcome: 2,
  refusal: 3,
  ping: 4,
  pong: 5,
  /** Before an end that says nothing of the health of who ends it: certificates or addresses have changed, and it is dialled anew at once. */
  goodbye: 6,
  message: 16,
  forwardRequest: 32,
  forwardReply: 33,
  forwardNotTaken: 34,
  question: 48,
  answer: 49,
  snapshotTake: 64,
  snapshotRead: 65,
  snapshotManifest: 66,
  snapshotChunk: 67,
  snapshotRefused: 68,
} as const

export interface Frame {
  readonly type: number
  readonly body: Uint8Array
}

export type FrameDefect = 'frame_empty' | 'frame_too_long'

export const frameHeaderBytes = 5

/** At the beginning of `frame`, whose body has `bodyBytes`. */
export function writeFrameHeader(frame: Buffer, type: number, bodyBytes: number): void {
  frame.writeUInt32BE(bodyBytes + 1, 0)
  frame.writeUInt8(type, 4)
}

/** The header of a frame whose body has `bodyBytes`. */
export function frameHeader(type: number, bodyBytes: number): Uint8Array {
  const header = Buffer.allocUnsafe(frameHeaderBytes)
  writeFrameHeader(header, type, bodyBytes)
  return header
}

/** Puts frames together from the chunks in which they arrive. After a defect it takes nothing more. */
export class FrameReader {
  #chunks: Uint8Array[] = []
  #held = 0
  #frameBytesMax: number
  #defect: FrameDefect | undefined

  /** `frameBytesMax`: type and body together. */
  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax
  }

  set frameBytesMax(bytes: number) {
    this.#frameBytesMax = bytes
  }

  push(chunk: Uint8Array): void {
    if (this.#defect !== undefined || chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#held += chunk.length
  }

  /** The next whole frame; undefined when it has not all arrived. Its body is a view into what was pushed, or a copy when it came in pieces. */
  next(): Frame | FrameDefect | undefined {
    if (this.#defect !== undefined) return this.#defect
    if (this.#held < 4) return undefined
    const length = this.#peekLength()
    if (length === 0) return this.#refuse('frame_empty')
    if (length > this.#frameBytesMax) return this.#refuse('frame_too_long')
    if (this.#held < 4 + length) return undefined
    const whole = this.#take(4 + length)
    return { type: whole[4] ?? 0, body: whole.subarray(frameHeaderBytes) }
  }

  #refuse(defect: FrameDefect): FrameDefect {
    this.#defect = defect
    this.#chunks = []
    this.#held = 0
    return defect
  }

  #peekLength(): number {
    const first = this.#chunks[0]
    const head = first !== undefined && first.length >= 4 ? first : this.#firstFour()
    return new DataView(head.buffer, head.byteOffset, head.byteLength).getUint32(0)
  }

  #firstFour(): Uint8Array {
    const joined = Buffer.concat(this.#chunks.splice(0))
    this.#chunks.push(joined)
    return joined
  }

  #take(length: number): Uint8Array {
    const first = this.#chunks[0]
    const from = first !== undefined && first.length >= length ? first : Buffer.concat(this.#chunks.splice(0))
    const rest = from.subarray(length)
    this.#held -= length
    if (from === first) this.#chunks.shift()
    if (rest.length > 0) this.#chunks.unshift(rest)
    return from.subarray(0, length)
  }
}
