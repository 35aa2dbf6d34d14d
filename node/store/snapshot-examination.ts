// Looks at a received database in a process that may crash: a file from elsewhere is not opened in the node before it has been read through once.
import { fork } from 'node:child_process'
import { z } from 'zod'
import { fail, ok, type Result } from '../../runtime/result.ts'
import { parseMembership } from '../raft/membership-codec.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'

export interface Examined {
  readonly bytes: number
  /** SHA-256, hexadecimal. */
  readonly hash: string
  readonly point: SnapshotPoint | undefined
}

/** Beyond it the process is ended: a whole pass over a file of 1 GB takes about 2 s. */
const msMax = 60_000
const msMaxPerGigabyte = 60_000
const replyBytesMax = 1024 * 1024

const replyShape = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sound'),
    bytes: z.number(),
    hash: z.string(),
    point: z.strictObject({ index: z.number(), term: z.number(), membership: z.unknown() }).nullable(),
  }),
  z.strictObject({ kind: z.literal('unsound'), reason: z.string() }),
])

/** `indexes`: `compared` with their tables, which takes some times as long. The problem is a text for the log. Rejects when no process can be started. */
export async function examineDatabase(
  path: string,
  options: { readonly bytes: number; readonly indexes?: 'compared' | 'as they are' },
): Promise<Result<Examined, string>> {
  const child = fork(new URL('snapshot-examiner.ts', import.meta.url), [path, options.indexes ?? 'as they are'], {
    stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
    env: {},
    execArgv: [],
    timeout: Math.ceil(msMax + (options.bytes / 2 ** 30) * msMaxPerGigabyte),
    killSignal: 'SIGKILL',
  })
  const said = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stdout?.setEncoding('utf8')
    child.stdout?.on('data', (chunk: string) => {
      text += chunk
      if (text.length > replyBytesMax) child.kill('SIGKILL')
    })
    child.on('error', reject)
    child.on('close', () => resolve(text))
  })
  return parseReply(said)
}

function parseReply(text: string): Result<Examined, string> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return fail('the process that examined it died') // nothing, or half of an answer
  }
  const reply = replyShape.safeParse(value)
  if (!reply.success) return fail('the process that examined it gave no answer')
  if (reply.data.kind === 'unsound') return fail(reply.data.reason)
  const { bytes, hash, point } = reply.data
  if (point === null) return ok({ bytes, hash, point: undefined })
  const membership = parseMembership(point.membership)
  if (!membership.ok) return fail('its membership cannot be read')
  return ok({ bytes, hash, point: { index: point.index, term: point.term, membership: membership.value } })
}
