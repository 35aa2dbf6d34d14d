// Puts a reply on the wire and sees that it ends: a client that sends for ever or never reads does not keep its connection.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline, type Readable } from 'node:stream'
import type { ApiReply } from './exchange.ts'
import type { Overdue } from './overdue.ts'

// A body up to this size is swallowed, so that the connection can be used again.
const swallowBytesMax = 64 * 1024
// How long a client may go on sending a refused body before the connection is cut. Cutting at once would reset it, and the client might never see the refusal.
const lingerMs = 1000

export function sendReply(
  message: IncomingMessage,
  response: ServerResponse,
  options: { readonly reply: ApiReply; readonly headers: Readonly<Record<string, string>>; readonly slow: Overdue },
): void {
  const { reply, headers, slow } = options
  if (reply.stream !== undefined) return sendStream(message, response, { ...options, stream: reply.stream })
  if (response.destroyed) return
  // Left as text where it is text: Node then sends head and body in one write, which costs half of two.
  const { body } = reply
  const linger = !message.complete && mayBeLong(message)
  response.writeHead(reply.status, {
    ...headers,
    ...reply.headers,
    // RFC 9110 §8.6: none with 204.
    ...(reply.status === 204 ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
    ...(linger ? { Connection: 'close' } : {}),
  })
  const cut = (): void => void response.destroy()
  slow.watch(cut)
  response.once('close', () => slow.isOver(cut))
  if (!linger) {
    response.end(body)
    return
  }
  response.flushHeaders()
  if (body.length > 0 && message.method !== 'HEAD') response.write(body)
  const lingering = setTimeout(() => response.end(), lingerMs)
  const stop = (): void => {
    clearTimeout(lingering)
    response.end()
  }
  message.once('end', stop)
  message.once('close', stop)
  message.resume()
}

/** Its length is not known: a client can tell a whole reply from one that broke off by the end of the chunks. */
function sendStream(
  message: IncomingMessage,
  response: ServerResponse,
  options: {
    readonly reply: ApiReply
    readonly headers: Readonly<Record<string, string>>
    readonly slow: Overdue
    readonly stream: Readable
  },
): void {
  const { reply, headers, slow, stream } = options
  if (response.destroyed) {
    stream.destroy()
    return
  }
  const isUnread = !message.complete
  response.writeHead(reply.status, { ...headers, ...reply.headers, ...(isUnread ? { Connection: 'close' } : {}) })
  const stalled = setTimeout(() => response.destroy(), slow.limitMs)
  // No more is read than the client takes, so that nothing is read means that nothing is taken.
  stream.on('data', () => stalled.refresh())
  pipeline(stream, response, () => clearTimeout(stalled)) // whatever ends one ends the other
}

function mayBeLong(message: IncomingMessage): boolean {
  return message.headers['transfer-encoding'] !== undefined || Number(message.headers['content-length'] ?? 0) > swallowBytesMax
}
