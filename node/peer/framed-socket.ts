// A socket that carries frames. Writes of one turn leave together; what is read is handed out frame by frame; the first wrong byte closes it.
import type { Socket } from 'node:net'
import { frameHeaderBytes, FrameReader, writeFrameHeader, type Frame } from './frame.ts'

/** Below this a frame is copied into one piece: a TLS record each for header and body would cost more than the copy. */
const coalescedBytesMax = 64 * 1024
/** For the last frame to leave before a socket that is being ended is torn down. */
const farewellMs = 1_000

export interface FramedSocketOptions {
  /** Type and body together, judged before memory is taken. */
  readonly frameBytesMax: number
  readonly onFrame: (frame: Frame) => void
  /** Once, whoever closed it; `why` is a short constant or the code of the error. */
  readonly onClose: (why: string) => void
}

export class FramedSocket {
  readonly socket: Socket
  readonly #reader: FrameReader
  #options: FramedSocketOptions
  #isCorked = false
  #isClosed = false
  #isEnding = false
  #why: string | undefined

  constructor(socket: Socket, options: FramedSocketOptions) {
    this.socket = socket
    this.#options = options
    this.#reader = new FrameReader(options.frameBytesMax)
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#why ??= error.code ?? 'socket_error'
    })
    socket.on('end', () => this.close('ended_by_peer'))
    socket.on('close', () => this.#closed())
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Bytes that the kernel has not taken yet. */
  get pendingBytes(): number {
    return this.socket.writableLength
  }

  /** Another phase of the conversation: other limits, other ears. */
  become(options: FramedSocketOptions): void {
    this.#options = options
    this.#reader.frameBytesMax = options.frameBytesMax
  }

  /** What has been read already and not handed out comes with the next turn of `data`; call this after `become` from outside of a frame's handling. */
  drain(): void {
    this.#handOut()
  }

  write(type: number, parts: readonly Uint8Array[]): void {
    if (this.#isClosed || this.#isEnding || this.socket.destroyed) return
    this.#cork()
    let bytes = 0
    for (const part of parts) bytes += part.length
    const isCopied = bytes <= coalescedBytesMax
    const head = Buffer.allocUnsafe(frameHeaderBytes + (isCopied ? bytes : 0))
    writeFrameHeader(head, type, bytes)
    if (isCopied) {
      let at = frameHeaderBytes
      for (const part of parts) {
        head.set(part, at)
        at += part.length
      }
    }
    this.socket.write(head)
    if (!isCopied) for (const part of parts) if (part.length > 0) this.socket.write(part)
  }

  /** Lets what was written leave, then closes. What still comes in is not looked at. */
  end(why: string): void {
    this.#why ??= why
    if (this.#isClosed || this.#isEnding || this.socket.destroyed) return
    this.#isEnding = true
    this.socket.end()
    const timer = setTimeout(() => this.socket.destroy(), farewellMs)
    this.socket.once('close', () => clearTimeout(timer))
  }

  close(why: string): void {
    this.#why ??= why
    this.socket.destroy()
  }

  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.socket.cork()
    queueMicrotask(() => {
      this.#isCorked = false
      this.socket.uncork()
    })
  }

  #take(chunk: Uint8Array): void {
    if (this.#isEnding) return
    this.#reader.push(chunk)
    this.#handOut()
  }

  #handOut(): void {
    while (!this.socket.destroyed && !this.#isEnding) {
      const frame = this.#reader.next()
      if (frame === undefined) return
      if (typeof frame === 'string') return this.close(frame)
      this.#options.onFrame(frame)
    }
  }

  #closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.onClose(this.#why ?? 'closed_by_peer')
  }
}
