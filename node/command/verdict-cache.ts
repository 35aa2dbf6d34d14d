// Remembers what the gate has said of a text: an application sends the same few texts with other parameters, and judging reads every character of them.
import type { Result } from '../../runtime/result.ts'
import type { GateProblem, JudgedStatement, JudgeText } from './gate-port.ts'

/** Applications that build their texts by hand send each only once: long ones are not worth keeping, and few enough are kept that it does not matter. */
const textCharactersMax = 4_096
const textsMax = 1_000

/** The same judge with a memory; verdicts depend on text and purpose alone. */
export function rememberVerdicts(judge: JudgeText): JudgeText {
  const verdicts = {
    execute: new Map<string, Result<readonly JudgedStatement[], GateProblem>>(),
    query: new Map<string, Result<readonly JudgedStatement[], GateProblem>>(),
    request: new Map<string, Result<readonly JudgedStatement[], GateProblem>>(),
  }
  return (text, options) => {
    const known = verdicts[options.for]
    const remembered = known.get(text)
    if (remembered !== undefined) return remembered
    const verdict = judge(text, options)
    if (text.length > textCharactersMax) return verdict
    if (known.size >= textsMax) known.clear()
    known.set(text, verdict)
    return verdict
  }
}
