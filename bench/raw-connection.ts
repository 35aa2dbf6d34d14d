// One keep-alive HTTP/1.1 connection over TLS, as lean as can be: the load generator shares two cores with what it measures, and node:https would take a third of them.
// It understands exactly what the node sends: a status line, headers with Content-Length, a body.
import { connect } from 'node:tls'
import type { TLSSocket } from 'node:tls'

export interface RawReply {
  readonly status: number
  readonly body: string
}

export class RawConnection {
  readonly #socket: TLSSocket
  #received: Buffer = Buffer.alloc(0)
  #waiting: { readonly resolve: (reply: RawReply) => void; readonly reject: (error: Error) => void } | undefined

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (part: Buffer) => this.#take(part))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () => this.#waiting?.reject(new Error('the connection was closed')))
  }

  static open(target: { readonly port: number; readonly ca: string }): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: target.port, ca: target.ca })
      socket.once('error', reject)
      socket.once('secureConnect', () => {
        socket.off('error', reject)
        resolve(new RawConnection(socket))
      })
    })
  }

  /** One at a time: the bytes of a whole request, see `requestBytes`. */
  send(request: Buffer): Promise<RawReply> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(part: Buffer): void {
    this.#received = this.#received.length === 0 ? part : Buffer.concat([this.#received, part])
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = this.#received.toString('latin1', 0, headEnd)
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
    if (length === undefined) return this.#waiting?.reject(new Error(`a reply without Content-Length: ${head}`))
    const end = headEnd + 4 + Number(length)
    if (this.#received.length < end) return
    const body = this.#received.toString('utf8', headEnd + 4, end)
    this.#received = this.#received.subarray(end)
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.resolve({ status: Number(head.slice(9, 12)), body })
  }
}

export function requestBytes(options: { readonly path: string; readonly body: unknown; readonly authorization: string }): Buffer {
  const body = JSON.stringify(options.body)
  const head = [
    `POST ${options.path} HTTP/1.1`,
    'Host: localhost',
    `Authorization: ${options.authorization}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
}
