// Looks at a received database in a process that may crash: a file from elsewhere is not opened in the node before it has been read through once.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import { KillableProcess, type ProcessEnd } from './killable-process.ts'

export interface Examined {
  readonly bytes: number
  /** SHA-256, hexadecimal. */
  readonly hash: string
  readonly point: SnapshotPoint | undefined
}

/** `reason`: for the log. */
export type ExaminerReply = ({ readonly kind: 'sound' } & Examined) | { readonly kind: 'unsound'; readonly reason: string }

export interface ExaminationOptions {
  readonly bytes: number
  /** `compared` with their tables, which takes some times as long. */
  readonly indexes?: 'compared' | 'as they are'
  /** In milliseconds. Shorter in tests. */
  readonly msMax?: number
}

/** Beyond it the process is ended: a whole pass over a file of 1 GB takes about 2 s. */
const msMax = 60_000
const msMaxPerGigabyte = 60_000
/** Somebody else's signal (an administrator's, or the kernel's when memory is short) says nothing about the file: once, it is looked at again. */
const attemptsMax = 2

/** The problem is a text for the log. Rejects when no process can be started. */
export async function examineDatabase(path: string, options: ExaminationOptions): Promise<Result<Examined, string>> {
  for (let attempt = 1; ; attempt += 1) {
    const reply = await examineOnce(path, options)
    switch (reply.kind) {
      case 'sound':
        return ok({ bytes: reply.bytes, hash: reply.hash, point: reply.point })
      case 'unsound':
        return fail(reply.reason)
      case 'overdue':
        return fail('it takes too long to be read')
      case 'gone':
        if (reply.end.cause === 'unstarted') throw new Error(`no process to examine a database: ${reply.end.reason}`)
        if (reply.end.cause === 'killed' && attempt < attemptsMax) continue
        return fail(`the process that examined it has ended: ${reply.end.reason}`)
    }
  }
}

/** Resolves when the process is gone. */
function examineOnce(
  path: string,
  options: ExaminationOptions,
): Promise<ExaminerReply | { readonly kind: 'overdue' } | { readonly kind: 'gone'; readonly end: ProcessEnd }> {
  return new Promise((resolve) => {
    let said: ExaminerReply | { readonly kind: 'overdue' } | undefined
    const examiner = new KillableProcess<never, ExaminerReply>({
      file: new URL('snapshot-examiner.ts', import.meta.url),
      arguments: [path, options.indexes ?? 'as they are'],
      onReply: (reply) => (said ??= reply),
      onEnded: (end) => {
        clearTimeout(overdue)
        resolve(said ?? { kind: 'gone', end })
      },
    })
    const overdue = setTimeout(
      () => {
        said ??= { kind: 'overdue' }
        examiner.kill()
      },
      options.msMax ?? Math.ceil(msMax + (options.bytes / 2 ** 30) * msMaxPerGigabyte),
    )
  })
}
