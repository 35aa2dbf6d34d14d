// The text of a dump (SQLite's .dump, rqlite's, our own): one transaction of everything in it, answered like an execute, with the last statement's result. The lines that a
// dump begins and ends with (PRAGMA foreign_keys, BEGIN, COMMIT) say what is done here anyway; statistics are left out, because every node would plan by them.
// What is too long for one entry of the log, or holds virtual tables that no statement makes, becomes a database in a process of its own and comes as a file, whole or not at
// all; but only where there is nothing yet, because a file replaces what a text is added to.
import type { Refusal } from '../../contract/refusal.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Statement } from '../command/command.ts'
import { readDump } from '../command/dump-statements.ts'
import { findAnything } from '../command/load-step.ts'
import type { ApiParts } from './api-parts.ts'
import { jsonReply, msLeft, refuse, refuseWith, streamOf } from './exchange.ts'
import type { ApiReply, ApiRequest, BodyStream } from './exchange.ts'
import { servedByHeader } from './leader-route.ts'
import { notEmpty } from './load-steps.ts'
import { upToDate } from './read-barrier.ts'
import { writeAtLeader } from './replicated-write.ts'
import { apiAddress, statementReply } from './statement-reply.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The body's first bytes, so many that it can be told what it is. */
export interface BegunBody {
  readonly head: Uint8Array
  readonly stream: BodyStream
}

const lookMsMax = 10_000

/** Receives what becomes a file and makes it the database; undefined when that is done. */
export type LoadAsFile = (body: BegunBody) => Promise<ApiReply | undefined>

export async function loadText(parts: ApiParts, request: ApiRequest, begun: BegunBody, asFile: LoadAsFile): Promise<ApiReply> {
  const collected = await collect(begun, parts.limits.bodyBytesMax)
  if (!collected.ok) return refuseWith(collected.problem)
  const { bytes: body, isWhole } = collected.value
  if (!isWhole) return loadAsFile(parts, request, { head: body, stream: begun.stream }, asFile)
  const text = decode(body)
  if (text === undefined) return refuse('invalid_request', 'the body is neither a SQLite file nor text in UTF-8')
  const judged = await read(parts, text)
  if (!judged.ok) return refuseWith(judged.problem)
  if (judged.value === 'as-file') return loadAsFile(parts, request, { head: body, stream: streamOf(new Uint8Array(0)) }, asFile)
  const statements: readonly Statement[] = judged.value.map((sql) => ({ sql, parameters: { kind: 'positional', values: [] } }))
  if (statements.length === 0) return statementReply(parts, request, { results: [], raftIndex: 0, changed: false })
  const asked = { ...request, body: () => Promise.resolve(ok(body)) }
  return writeAtLeader(parts, asked, { kind: 'execute', statements, isDump: true })
}

/** What is there now is looked at first: a long dump is not received in vain. What is there by then is the log's to say. */
async function loadAsFile(parts: ApiParts, given: ApiRequest, body: BegunBody, asFile: LoadAsFile): Promise<ApiReply> {
  // Its first part alone may have taken longer to arrive than a request may.
  const request = { ...given, deadlineAtMs: Math.max(given.deadlineAtMs, performance.now() + lookMsMax) }
  const behind = await upToDate(parts, request)
  if (behind !== undefined) return behind
  const found = await parts.reader.query([anything], { transaction: false, appliedIndexMin: 0, timeoutMs: msLeft(request) })
  if (!found.ok) return refuseWith(found.problem)
  const [result] = found.value.results
  if (result?.kind === 'rows' && result.rows.length > 0) return refuse('database_not_empty', notEmpty)
  const refusal = await asFile(body)
  return refusal ?? jsonReply('{"results":[]}', { [servedByHeader]: apiAddress(parts) })
}

const anything: Statement = { sql: findAnything, parameters: { kind: 'positional', values: [] } }

/** Eight megabytes take seconds: others have their turn between the steps. */
async function read(parts: ApiParts, text: string): Promise<Result<readonly string[] | 'as-file', Refusal>> {
  const reading = readDump(text, parts.judge)
  for (;;) {
    const step = reading.next()
    if (step.done === true) return step.value
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Not whole: there is more than may be in one entry. */
async function collect(
  { head, stream }: BegunBody,
  bytesMax: number,
): Promise<Result<{ readonly bytes: Uint8Array; readonly isWhole: boolean }, Refusal>> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  let chunk: Uint8Array | undefined = head
  while (chunk !== undefined) {
    bytes += chunk.length
    chunks.push(chunk)
    if (bytes > bytesMax) return ok({ bytes: Buffer.concat(chunks), isWhole: false })
    const next = await stream.next()
    if (!next.ok) return fail(next.problem)
    chunk = next.value
  }
  return ok({ bytes: Buffer.concat(chunks), isWhole: true })
}

function decode(body: Uint8Array): string | undefined {
  try {
    return utf8.decode(body)
  } catch {
    return undefined // the fatal decoder throws on what is not UTF-8
  }
}
