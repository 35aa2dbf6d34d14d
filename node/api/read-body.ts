// Reads a request's body, into memory within the limits, or as it comes. Express' parsers would cost more than all the rest of a request. The server itself sets no limit to
// the time of a whole request: a file may take as long as it keeps coming.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Refusal } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { ApiLimits } from './api-limits.ts'
import type { BodyBudget } from './body-budget.ts'
import type { BodyStream } from './exchange.ts'
import type { Overdue } from './overdue.ts'

/** Less is no upload but a connection that somebody holds. */
const streamBytesMin = 1024 * 1024

const tooSlow = { code: 'request_timeout', message: 'the body came too slowly' } as const
const endedEarly = { code: 'invalid_request', message: 'the body ended early' } as const

/** The bytes stay charged to `budget` until the exchange is over. */
export async function readBody(
  message: IncomingMessage,
  response: ServerResponse,
  options: { readonly limits: ApiLimits; readonly budget: BodyBudget; readonly slow: Overdue },
): Promise<Result<Uint8Array, Refusal>> {
  const { limits, budget, slow } = options
  const tooLarge = { code: 'body_too_large', message: `the body is larger than ${limits.bodyBytesMax} bytes; send it in parts` } as const
  if (Number(message.headers['content-length'] ?? 0) > limits.bodyBytesMax) return fail(tooLarge)
  const chunks: Buffer[] = []
  let length = 0
  response.once('close', () => budget.giveBack(length))
  return new Promise((resolve) => {
    // Listeners that have had their turn stay where they are: taking three away from each message costs more than asking.
    let isEnded = false
    const end = (result: Result<Uint8Array, Refusal>): void => {
      isEnded = true
      slow.isOver(late)
      resolve(result)
    }
    const late = (): void => end(fail(tooSlow))
    slow.watch(late)
    const take = (chunk: Buffer): void => {
      if (isEnded) return
      if (length + chunk.length > limits.bodyBytesMax) return end(fail(tooLarge))
      if (!budget.take(chunk.length)) return end(fail({ code: 'overloaded', message: 'too many large requests at a time; try again' }))
      length += chunk.length
      chunks.push(chunk)
    }
    const finish = (): void => {
      const [first] = chunks
      if (!isEnded) end(ok(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, length)))
    }
    const abandon = (): void => {
      if (!isEnded) end(fail(endedEarly))
    }
    message.on('data', take)
    message.on('end', finish)
    message.on('close', abandon)
  })
}

/** Of any length, if at least `streamBytesMin` come within each `requestTimeoutMs`. */
export function readStream(message: IncomingMessage, limits: ApiLimits): BodyStream {
  const chunks = message.iterator({ destroyOnReturn: false })
  let due = { bytes: 0, atMs: performance.now() + limits.requestTimeoutMs }
  return {
    next: async () => {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), Math.max(0, due.atMs - performance.now()))
      })
      try {
        const read = await Promise.race([chunks.next(), late])
        if (read === 'late') return fail(tooSlow)
        if (read.done === true) return ok(undefined)
        const chunk = read.value as Buffer // a message without an encoding gives Buffers
        const bytes = due.bytes + chunk.length
        due = bytes < streamBytesMin ? { ...due, bytes } : { bytes: 0, atMs: performance.now() + limits.requestTimeoutMs }
        return ok(chunk)
      } catch (error) {
        // The client has gone: that is how a stream of Node says so.
        if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') return fail(endedEarly)
        throw error
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
