// Reads a request's body into memory, within the limits. Express' parsers would cost more than all the rest of a request.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Refusal } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { ApiLimits } from './api-limits.ts'
import type { BodyBudget } from './body-budget.ts'

/** The bytes stay charged to `budget` until the exchange is over. */
export async function readBody(
  message: IncomingMessage,
  response: ServerResponse,
  options: { readonly limits: ApiLimits; readonly budget: BodyBudget },
): Promise<Result<Uint8Array, Refusal>> {
  const { limits, budget } = options
  const tooLarge = { code: 'body_too_large', message: `the body is larger than ${limits.bodyBytesMax} bytes; send it in parts` } as const
  if (Number(message.headers['content-length'] ?? 0) > limits.bodyBytesMax) return fail(tooLarge)
  const chunks: Buffer[] = []
  let length = 0
  response.once('close', () => budget.giveBack(length))
  return new Promise((resolve) => {
    const end = (result: Result<Uint8Array, Refusal>): void => {
      message.off('data', take)
      message.off('end', finish)
      message.off('close', abandon)
      resolve(result)
    }
    const take = (chunk: Buffer): void => {
      if (length + chunk.length > limits.bodyBytesMax) return end(fail(tooLarge))
      if (!budget.take(chunk.length)) return end(fail({ code: 'overloaded', message: 'too many large requests at a time; try again' }))
      length += chunk.length
      chunks.push(chunk)
    }
    const finish = (): void => end(ok(Buffer.concat(chunks, length)))
    const abandon = (): void => end(fail({ code: 'invalid_request', message: 'the body ended early' }))
    message.on('data', take)
    message.once('end', finish)
    message.once('close', abandon)
  })
}
