// Follows the access file. It is read again every second and compared as a whole: change times have a grain, and Kubernetes swaps a symlink two folders up,
// so any cleverness about "has it changed" is a way to miss a withdrawn permission. A file that is wrong changes nothing: the last good one stays in force.
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { AccessEntry, AccessFileProblem } from '../../contract/access-file.ts'
import { parseAccessFile } from '../../contract/parse-access-file.ts'
import type { Logger } from '../../runtime/log.ts'
import type { CountingMetric, Metrics } from '../../runtime/metrics.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'

/** Thousands of users; a larger file is not an access file. */
const accessFileBytesMax = 1024 * 1024
const pollMs = 1000

export type AccessFileFault = AccessFileProblem | { readonly code: 'access_file_unreadable'; readonly message: string }

const readings = ['loaded', 'refused', 'unreadable'] as const

export class AccessWatcher {
  readonly #file: string
  readonly #log: Logger
  readonly #onUsers: (entries: readonly AccessEntry[]) => void
  readonly #readings: CountingMetric<{ readonly outcome: typeof readings }>
  #seen: string
  #timer: NodeJS.Timeout | undefined
  #reading: Promise<void> | undefined

  /** `text`: what was read at start and is in force. */
  constructor(options: {
    readonly file: string
    readonly text: string
    readonly logger: Logger
    readonly metrics: Metrics
    readonly onUsers: (entries: readonly AccessEntry[]) => void
  }) {
    this.#file = options.file
    this.#seen = fingerprint(options.text)
    this.#log = options.logger.child({ part: 'access' })
    this.#onUsers = options.onUsers
    this.#readings = options.metrics.counter({
      name: 'securesql_access_file_readings_total',
      help: 'Changed contents of the access file by what became of them. `refused` and `unreadable`: the last good file stays in force.',
      labels: { outcome: readings },
    })
  }

  start(): void {
    this.#timer = setInterval(() => void this.reread(), pollMs)
    this.#timer.unref()
  }

  /** Looks now. Each changed content is reported once, good or bad. */
  reread(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#reading
  }

  async #read(): Promise<void> {
    const text = await readAccessFile(this.#file)
    const seen = fingerprint(text.ok ? text.value : text.problem.message)
    if (seen === this.#seen) return
    this.#seen = seen
    if (!text.ok) return this.#keepLast('unreadable', text.problem)
    const entries = parseAccessFile(text.value)
    if (!entries.ok) return this.#keepLast('refused', entries.problem)
    this.#onUsers(entries.value)
    this.#readings.add({ outcome: 'loaded' })
    this.#log.info({ users: entries.value.length }, 'access file changed, new users and permissions are in force')
  }

  #keepLast(outcome: 'refused' | 'unreadable', problem: AccessFileFault): void {
    this.#readings.add({ outcome })
    this.#log.error({ file: this.#file, problem }, 'access file refused, the last good one stays in force')
  }
}

/** The whole text, of at most accessFileBytesMax bytes of UTF-8. */
export async function readAccessFile(file: string): Promise<Result<string, AccessFileFault>> {
  try {
    await using handle = await open(file, 'r')
    const { size } = await handle.stat()
    const bytes = size > accessFileBytesMax ? undefined : await handle.readFile()
    if (bytes === undefined || bytes.length > accessFileBytesMax)
      return unreadable(`the access file ${file} (-auth) is longer than ${accessFileBytesMax} bytes`)
    return ok(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    return unreadable(`the access file ${file} (-auth) cannot be read: ${code}`)
  }
}

function unreadable(message: string): Result<never, AccessFileFault> {
  return fail({ code: 'access_file_unreadable', message })
}

// A digest: the text holds passwords, and one copy in memory is one too many.
function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}
