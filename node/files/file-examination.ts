// The node's end of file-examiner.ts: starts it, ends it in time, and reads what it has found.
import { statSync } from 'node:fs'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { FileForm, FileProblem } from '../api/file-intake.ts'
import { KillableProcess } from '../store/killable-process.ts'
import { builtBytesMax } from './text-building.ts'

export type ExaminerReply =
  | { readonly kind: 'sound'; readonly bytes: number; readonly hash: string }
  /** For the client whose file it is. */
  | { readonly kind: 'refused' | 'full'; readonly reason: string }

/**
 * Reading and writing a gigabyte takes about 10 s on a busy machine; a gigabyte of statements about 400 s of the processor, which the process gets last. What runs for so long without
 * a result takes neither memory nor disk beyond its limits, and ends when nobody waits for it.
 */
const msMin = { database: 60_000, text: 600_000 } as const
const msPerGigabyte = { database: 120_000, text: 7_200_000 } as const
/** Beyond what the process takes by itself: caches and one row are a few tens of megabytes. */
const growthBytesMax = 512 * 1024 * 1024
const lookEveryMs = 200

export interface ExaminationTask {
  readonly path: string
  readonly form: FileForm
  /** Where a sound file is written anew; what is left there of a refused one is the caller's to remove. */
  readonly output: string
  readonly isAbandoned: () => boolean
}

export async function examineFile({
  path,
  form,
  output,
  isAbandoned,
}: ExaminationTask): Promise<Result<{ readonly bytes: number; readonly hash: string }, FileProblem>> {
  const given = statSync(path).size
  const untilMs = performance.now() + msMin[form] + (given / 2 ** 30) * msPerGigabyte[form]
  // No sound file grows by being written anew; one that does is a bomb.
  const outputBytesMax = form === 'text' ? builtBytesMax(given) : 2 * given + 64 * 1024 * 1024
  let ended: string | undefined
  const reply = await new Promise<ExaminerReply | undefined>((resolve) => {
    const examiner = new KillableProcess<object, ExaminerReply>({
      file: new URL('file-examiner.ts', import.meta.url),
      arguments: [path, output, String(growthBytesMax), form],
      onReply: (said) => {
        resolve(said)
        clearInterval(watch)
        examiner.kill()
      },
      onEnded: ({ cause }) => {
        clearInterval(watch)
        ended ??= cause === 'memory' ? 'it takes too much memory to be read' : 'the process that examined it has crashed'
        resolve(undefined)
      },
    })
    const watch = setInterval(() => {
      const written = statSync(output, { throwIfNoEntry: false })?.size ?? 0
      if (performance.now() > untilMs) ended = 'it takes too long to be read'
      else if (written > outputBytesMax) ended = 'it grows when it is read'
      else if (isAbandoned()) ended = 'nobody waits for it any more'
      else return
      examiner.kill()
    }, lookEveryMs)
  })
  if (reply?.kind === 'sound') return ok({ bytes: reply.bytes, hash: reply.hash })
  if (reply?.kind === 'full') return fail({ code: 'no_space', message: 'no room to examine the file' })
  const what = form === 'text' ? 'the text cannot be loaded' : 'invalid SQLite data'
  return fail({ code: 'file_refused', message: `${what}: ${reply?.reason ?? ended ?? 'no answer'}` })
}
