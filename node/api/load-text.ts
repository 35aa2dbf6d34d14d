// The text of a dump (SQLite's .dump, rqlite's, our own): one transaction of everything in it, answered like an execute, with the last statement's result. The lines that a
// dump begins and ends with (PRAGMA foreign_keys, BEGIN, COMMIT) say what is done here anyway; statistics are left out, because every node would plan by them.
import type { Refusal } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Statement } from '../command/command.ts'
import { readDump } from '../command/dump-statements.ts'
import type { ApiParts } from './api-parts.ts'
import { refuse, refuseWith } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import type { BegunBody } from './load-endpoint.ts'
import { writeAtLeader } from './replicated-write.ts'
import { statementReply } from './statement-reply.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

export async function loadText(parts: ApiParts, request: ApiRequest, begun: BegunBody): Promise<ApiReply> {
  const collected = await collect(begun, parts.limits.bodyBytesMax)
  if (!collected.ok) return refuseWith(collected.problem)
  const body = collected.value
  const text = decode(body)
  if (text === undefined) return refuse('invalid_request', 'the body is neither a SQLite file nor text in UTF-8')
  const judged = await read(parts, text)
  if (!judged.ok) return refuseWith(judged.problem)
  const statements: readonly Statement[] = judged.value.map((sql) => ({ sql, parameters: { kind: 'positional', values: [] } }))
  if (statements.length === 0) return statementReply(parts, request, { results: [], raftIndex: 0, changed: false })
  const asked = { ...request, body: () => Promise.resolve(ok(body)) }
  return writeAtLeader(parts, asked, { kind: 'execute', statements, isDump: true })
}

/** Eight megabytes take seconds: others have their turn between the steps. */
async function read(parts: ApiParts, text: string): Promise<Result<readonly string[], Refusal>> {
  const reading = readDump(text, (sql) => parts.judge(sql, { for: 'execute' }))
  for (;;) {
    const step = reading.next()
    if (step.done === true) return step.value
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function collect({ head, stream }: BegunBody, bytesMax: number): Promise<Result<Uint8Array, Refusal>> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  let chunk: Uint8Array | undefined = head
  while (chunk !== undefined) {
    bytes += chunk.length
    if (bytes > bytesMax)
      return fail({
        code: 'body_too_large',
        message: `text of more than ${bytesMax} bytes is not loaded in one transaction; send it in parts, or as a SQLite file`,
      })
    chunks.push(chunk)
    const next = await stream.next()
    if (!next.ok) return next
    chunk = next.value
  }
  return ok(Buffer.concat(chunks))
}

function decode(body: Uint8Array): string | undefined {
  try {
    return utf8.decode(body)
  } catch {
    return undefined // the fatal decoder throws on what is not UTF-8
  }
}
