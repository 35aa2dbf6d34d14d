// Backups: a copy of the database, made beside the writes, which a throw-away process turns into what was asked for, and which is read out as fast as the client takes it. All of it
// are files in the data directory; nothing of a backup is ever whole in memory. Whatever ends first, client, process or copy, ends the others.
import { mkdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, pipeline, type Readable } from 'node:stream'
import { randomUUID } from 'node:crypto'
import { createGzip } from 'node:zlib'
import type { Logger } from '../../runtime/log.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { BackupOptions, BackupProblem, Backups } from '../api/backups.ts'
import type { DatabaseCopier } from '../store/database-copier.ts'
import { BackupWriting } from './backup-writing.ts'
import type { ReadFreeBytes } from './file-inbox.ts'

/** Each is a copy of the database on the disk. */
const backupsMax = 2
const freeBytesMin = 64 * 1024 * 1024
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
      rm(directory, { recursive: true, force: true, maxRetries: 3 }).catch((err: unknown) =>
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
    const writing = new BackupWriting(path)
    const watch = setInterval(() => {
      if (options.isAbandoned()) writing.kill()
    }, lookEveryMs)
    const first = await writing.begin(options)
    clearInterval(watch)
    if (first.kind !== 'part') {
      writing.kill()
      await writing.gone
      if (first.kind === 'refused') return fail({ code: 'backup_refused', message: first.reason })
      this.#log.warn({ reason: first.reason }, 'a backup could not be written')
      return refusedFailed
    }
    const given = options.compress ? createGzip() : new PassThrough()
    // Also where the next part is being waited for, which comes to an end by that.
    given.once('close', () => writing.kill())
    pipeline(writing.bytes(first), given, (error) => {
      void writing.gone.then(end)
      if (error) this.#log.info({ why: error.code ?? error.message }, 'a backup was not taken to its end')
    })
    return ok(given)
  }
}
