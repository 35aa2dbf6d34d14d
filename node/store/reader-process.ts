// A reader process: `node reader-process.ts DATABASE GROWTH_BYTES_MAX`, forked by starter-process.ts. It answers one read at a time and is ended by a signal, never asked
// to stop: inside of SQLite it would not hear it. It cannot write: its connection is read-only, and the gate has judged every text before.
import process from 'node:process'
import { ReadSession, TooLarge, type ReadPart } from './read-session.ts'
import type { ReaderReply, ReaderRequest } from './reader-messages.ts'
import { SelfWatch } from './self-watch.ts'
import { EnvironmentFailure } from './sqlite-failure.ts'

/** Parts are sent when so much has gathered. */
const messageBytesMax = 256 * 1024

const [, , path = '', growthBytesMax = ''] = process.argv
const watch = new SelfWatch({ growthBytesMax: Number(growthBytesMax) })
const session = new ReadSession(path)
let onMore: () => void = () => {}
process.on('message', (request: ReaderRequest) => {
  if (request.kind === 'more') onMore()
  else void answer(request)
})
await send({ kind: 'ready' })

async function answer(request: Extract<ReaderRequest, { kind: 'read' }>): Promise<void> {
  watch.begin()
  const reply = await read(request)
  watch.end()
  await send(reply)
}

async function read(request: Extract<ReaderRequest, { kind: 'read' }>): Promise<ReaderReply> {
  let parts: ReadPart[] = []
  let bytes = 0
  try {
    for (const part of session.read(request.statements, { ...request, costMax: Infinity })) {
      parts.push(part)
      bytes += part.kind === 'rows' ? part.bytes : 0
      const isFull = bytes >= messageBytesMax
      // What was answered must be on its way before the next statement, which may be the last thing that this process does.
      if (!isFull && part.kind !== 'end' && part.kind !== 'result') continue
      const taken = isFull ? new Promise<void>((resolve) => (onMore = resolve)) : undefined
      await send({ kind: 'parts', parts, mustAsk: isFull })
      await taken
      parts = []
      bytes = 0
    }
  } catch (error) {
    if (error instanceof TooLarge) return { kind: 'too-large' }
    if (error instanceof EnvironmentFailure) return { kind: 'failed', message: error.message }
    throw error
  }
  return { kind: 'done', parts, isSwollen: watch.isSwollen }
}

/** Resolves when it is written. */
function send(reply: ReaderReply): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(reply, undefined, undefined, () => resolve())
  })
}
