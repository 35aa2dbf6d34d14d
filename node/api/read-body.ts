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
    // Listeners that have had their turn stay where they are: taking three away from each message costs more than asking.
    let isEnded = false
    const end = (result: Result<Uint8Array, Refusal>): void => {
      isEnded = true
      resolve(result)
    }
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
      if (!isEnded) end(fail({ code: 'invalid_request', message: 'the body ended early' }))
    }
    message.on('data', take)
    message.on('end', finish)
    message.on('close', abandon)
  })
}
