// The node's end of backup-writer.ts, which leaves a backup in files: one for a database, many short ones for text, of which there are never more than two. The node reads them
// itself, so the bytes go through no other process, and what nobody takes rests on the disk.
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { BackupOptions } from '../api/backups.ts'
import { KillableProcess } from '../store/killable-process.ts'

export type BackupOrder = Pick<BackupOptions, 'format' | 'vacuum' | 'tables'>

/** Each is answered once. `next`: the part behind the one before. */
export type WriterRequest = { readonly kind: 'begin'; readonly order: BackupOrder } | { readonly kind: 'next' }

export type WriterReply =
  /** A whole file of the process, with the next bytes. */
  | { readonly kind: 'part'; readonly path: string; readonly isLast: boolean }
  /** `refused`: for the client. `failed`: for the log. */
  | { readonly kind: 'refused' | 'failed'; readonly reason: string }

type Part = Extract<WriterReply, { kind: 'part' }>

const growthBytesMax = 512 * 1024 * 1024
const chunkBytes = 256 * 1024

export class BackupWriting {
  /** Resolves when the process is gone, and writes nothing any more. */
  readonly gone: Promise<void>
  readonly #process: KillableProcess<WriterRequest, WriterReply>
  #settle: (reply: WriterReply) => void = () => {}
  #end: WriterReply | undefined

  /** `path`: a copy of the database that is the process's own to change; what else it writes stands beside it. */
  constructor(path: string) {
    const gone = Promise.withResolvers<void>()
    this.gone = gone.promise
    this.#process = new KillableProcess<WriterRequest, WriterReply>({
      file: new URL('backup-writer.ts', import.meta.url),
      arguments: [path, String(growthBytesMax)],
      onReply: (reply) => this.#settle(reply),
      onEnded: ({ reason }) => {
        this.#end = { kind: 'failed', reason: `the process that writes it has ended: ${reason}` }
        this.#settle(this.#end)
        gone.resolve()
      },
    })
  }

  begin({ format, vacuum, tables }: BackupOrder): Promise<WriterReply> {
    return this.#ask({ kind: 'begin', order: { format, vacuum, tables } })
  }

  /** From `first` on. Each further part is written while the one before is taken. Throws when there is no end. */
  async *bytes(first: Part): AsyncGenerator<Buffer> {
    for (let part = first; ;) {
      if (part.isLast) {
        this.kill() // its work is done
        yield* chunksOf(part)
        return
      }
      const next = this.#ask({ kind: 'next' })
      yield* chunksOf(part)
      await rm(part.path)
      const reply = await next
      if (reply.kind !== 'part') throw new Error(reply.reason)
      part = reply
    }
  }

  kill(): void {
    this.#process.kill()
  }

  #ask(request: WriterRequest): Promise<WriterReply> {
    if (this.#end !== undefined) return Promise.resolve(this.#end)
    return new Promise((resolve) => {
      this.#settle = resolve
      this.#process.send(request)
    })
  }
}

function chunksOf({ path }: Part): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: chunkBytes })
}
