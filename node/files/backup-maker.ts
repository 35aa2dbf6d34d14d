// Backups: a copy of the database, made beside the writes, which a throw-away process turns into what was asked for and writes out as fast as the client takes it. The copy is a
// file in the data directory; nothing of a backup is ever whole in memory. Whatever ends first, client, process or copy, ends the others.
import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform, pipeline, type Readable } from 'node:stream'
import { randomUUID } from 'node:crypto'
import { createGzip } from 'node:zlib'
import type { Logger } from '../../runtime/log.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { BackupOptions, BackupProblem, Backups } from '../api/backups.ts'
import type { DatabaseCopier } from '../store/database-copier.ts'
import type { ReadFreeBytes } from './file-inbox.ts'

export type BackupOrder = Pick<BackupOptions, 'format' | 'vacuum' | 'tables'>

export type WriterReply =
  /** The first bytes follow. */
  { readonly kind: 'ready' } | { readonly kind: 'done' } | { readonly kind: 'refused' | 'failed'; readonly reason: string }

/** Each is a copy of the database on the disk. */
const backupsMax = 2
const freeBytesMin = 64 * 1024 * 1024
const growthBytesMax = 512 * 1024 * 1024
/** A database that is replaced while it is copied is copied again. */
const attemptsMax = 3
const lookEveryMs = 200

const refusedFailed: Result<never, BackupProblem> = fail({
  code: 'backup_failed',
  message: 'the backup could not be made; the log says why',
})

export class BackupMaker implements Backups {
  readonly #directory: string
  readonly #copier: Pick<DatabaseCopier, 'copyTo'>
  readonly #databaseBytes: () => number
  readonly #readFreeBytes: ReadFreeBytes
  readonly #log: Logger
  #count = 0

  constructor(options: {
    readonly directory: string
    readonly copier: Pick<DatabaseCopier, 'copyTo'>
    readonly databaseBytes: () => number
    readonly readFreeBytes: ReadFreeBytes
    readonly logger: Logger
  }) {
    this.#directory = options.directory
    this.#copier = options.copier
    this.#databaseBytes = options.databaseBytes
    this.#readFreeBytes = options.readFreeBytes
    this.#log = options.logger.child({ part: 'backup' })
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async make(options: BackupOptions): Promise<Result<Readable, BackupProblem>> {
    if (this.#count >= backupsMax) return fail({ code: 'overloaded', message: 'too many backups at a time; try again' })
    // VACUUM and the journal of a change take as much again.
    const copies = options.vacuum ? 3 : 1
    if (this.#readFreeBytes() < copies * this.#databaseBytes() + freeBytesMin) {
      return fail({ code: 'no_space', message: 'no room for a copy of the database, which a backup is made of' })
    }
    this.#count += 1
    const directory = join(this.#directory, randomUUID())
    let hasEnded = false
    const end = (): void => {
      if (hasEnded) return
      hasEnded = true
      this.#count -= 1
      rm(directory, { recursive: true, force: true }).catch((err: unknown) =>
        this.#log.warn({ err }, 'the copy of a backup could not be removed'),
      )
    }
    try {
      const made = await this.#make(directory, options, end)
      if (!made.ok) end()
      return made
    } catch (error) {
      end()
      throw error
    }
  }

  async #make(directory: string, options: BackupOptions, end: () => void): Promise<Result<Readable, BackupProblem>> {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (let attempt = 1; ; attempt += 1) {
      const path = join(directory, `copy-${attempt}.sqlite`)
      const problem = await this.#copy(path, options)
      if (problem === undefined) return this.#write(path, options, end)
      this.#log.warn({ attempt, reason: problem }, 'the database could not be copied')
      if (attempt === attemptsMax || options.isAbandoned()) return refusedFailed
    }
  }

  async #copy(path: string, options: BackupOptions): Promise<string | undefined> {
    const copy = this.#copier.copyTo(path)
    const watch = setInterval(() => {
      if (options.isAbandoned()) copy.stop()
    }, lookEveryMs)
    const finished = await copy.finished
    clearInterval(watch)
    return finished.ok ? undefined : finished.problem
  }

  async #write(path: string, options: BackupOptions, end: () => void): Promise<Result<Readable, BackupProblem>> {
    const writer = new Writer(path, options)
    const stop = (): void => writer.kill()
    const watch = setInterval(() => {
      if (options.isAbandoned()) stop()
    }, lookEveryMs)
    const first = await writer.ready
    clearInterval(watch)
    const { output } = writer
    if (first.kind !== 'ready' || output === null) {
      stop()
      if (first.kind === 'refused') return fail({ code: 'backup_refused', message: first.reason })
      this.#log.warn({ reason: first.kind === 'failed' ? first.reason : 'no output' }, 'a backup could not be written')
      return refusedFailed
    }
    const whole = wholeOnly(writer)
    const last = options.compress ? createGzip() : undefined
    const ended = (error: NodeJS.ErrnoException | null | undefined): void => {
      stop()
      end()
      if (error) this.#log.info({ why: error.code ?? error.message }, 'a backup was not taken to its end')
    }
    if (last === undefined) pipeline(output, whole, ended)
    else pipeline(output, whole, last, ended)
    return ok(last ?? whole)
  }
}

/** Ends well only when the process says that it has written everything; otherwise the client must see a reply that broke off. */
function wholeOnly(writer: Writer): Transform {
  return new Transform({
    transform: (chunk, _encoding, done) => done(null, chunk),
    flush: (done) => {
      void writer.done.then((isDone) => done(isDone ? null : new Error('the process that wrote the backup has ended early')))
    },
  })
}

class Writer {
  readonly ready: Promise<WriterReply>
  readonly done: Promise<boolean>
  readonly #child: ChildProcess

  constructor(path: string, { format, vacuum, tables }: BackupOrder) {
    const child = fork(new URL('backup-writer.ts', import.meta.url), [path, String(growthBytesMax)], {
      stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
      env: {},
      execArgv: ['--max-old-space-size=128', '--max-semi-space-size=2'],
    })
    this.#child = child
    const gone: WriterReply = { kind: 'failed', reason: 'the process that writes it has ended' }
    this.ready = new Promise((resolve) => {
      child.once('message', (reply) => resolve(reply as WriterReply)) // our own program at the other end
      child.once('error', () => resolve(gone))
      child.once('exit', () => resolve(gone))
    })
    this.done = new Promise((resolve) => {
      child.on('message', (reply) => {
        if ((reply as WriterReply).kind === 'done') resolve(true)
        if ((reply as WriterReply).kind === 'failed') resolve(false)
      })
      child.once('error', () => resolve(false))
      // What it has said before it ended comes first.
      child.once('close', () => resolve(false))
    })
    child.send({ format, vacuum, tables } satisfies BackupOrder, () => {})
  }

  get output(): Readable | null {
    return this.#child.stdout
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
