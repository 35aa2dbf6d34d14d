// One question, one answer, and the connection ends: joining, forming, vouching. Rare and small, so they are JSON, read by a schema that knows every key.
import { z } from 'zod'
import { fail, ok, type Result } from '../../runtime/result.ts'
import { frameTypes } from './frame.ts'
import type { Call, Dial, DialProblem } from './peer-dialer.ts'
import type { Admitted } from './peer-listener.ts'

/** A membership of 64 members with the longest names. */
const conversationBytesMax = 256 * 1024
/** The question follows the welcome at once; one who only holds the place loses it. */
const questionMsMax = 5_000
/** The answer to a join waits for a commit. */
const answerMsMax = 30_000

/** Called with what was asked, as parsed JSON; undefined: not understood, the connection is closed without a word. */
export type Answerer = (question: unknown, caller: Admitted) => Promise<unknown>

export async function ask<Answer>(
  dial: Dial,
  call: Call,
  asked: { readonly question: unknown; readonly schema: z.ZodType<Answer>; readonly answerTimeoutMs: number },
): Promise<Result<Answer, DialProblem>> {
  const answered = await dial(call)
  if (!answered.ok) return answered
  const { framed } = answered.value
  return new Promise((resolve) => {
    const settle = (result: Result<Answer, DialProblem>): void => {
      clearTimeout(timer)
      resolve(result)
      framed.close('answered')
    }
    const problem = (code: DialProblem['code'], text: string): void =>
      settle(fail({ code, refusal: undefined, message: `${call.address} ${text}` }))
    const timer = setTimeout(() => problem('deadline', `did not answer within ${asked.answerTimeoutMs} ms`), asked.answerTimeoutMs)
    framed.become({
      frameBytesMax: conversationBytesMax,
      onFrame: (frame) => {
        const answer = asked.schema.safeParse(frame.type === frameTypes.answer ? parseJson(frame.body) : undefined)
        if (answer.success) settle(ok(answer.data))
        else problem('not_a_node', 'gave an answer that is not understood')
      },
      onClose: () => problem('unreachable', 'closed the connection'),
    })
    framed.write(frameTypes.question, [Buffer.from(JSON.stringify(asked.question))])
  })
}

export function serve({ answerer, caller }: { readonly answerer: Answerer; readonly caller: Admitted }): void {
  const { framed } = caller
  let wasAsked = false
  framed.socket.setTimeout(questionMsMax, () => framed.close('silent'))
  framed.become({
    frameBytesMax: conversationBytesMax,
    onFrame: (frame) => {
      if (wasAsked || frame.type !== frameTypes.question) return framed.close('spoke_out_of_turn')
      wasAsked = true
      framed.socket.setTimeout(answerMsMax)
      void answerer(parseJson(frame.body), caller).then((answer) => {
        if (answer === undefined) return framed.close('question_malformed')
        framed.write(frameTypes.answer, [Buffer.from(JSON.stringify(answer))])
        return framed.end('answered')
      })
    },
    onClose: () => {},
  })
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    // Not JSON, or not UTF-8: the schema refuses undefined.
    return undefined
  }
}
