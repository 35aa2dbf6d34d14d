// The thread that copies the database (SQLite's backup API: page by page, so every rowid stays what it is) while the main thread goes on writing. One read transaction
// holds the copy to one state: the writer neither waits for it nor makes it begin anew. The pace leaves the disk to the log: the copy works at most half of the time
// and syncs as it goes, because a sync of the log would otherwise have to wait for all of the copy's pages.
import { createHash } from 'node:crypto'
import { closeSync, fdatasyncSync, fsyncSync, openSync, readSync } from 'node:fs'
import { dirname } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { syncDirectory } from '../log/directory-disk.ts'
import { stepBehind } from './quiet-thread.ts'
import { hold, type CopyOptions, type CopyReply } from './snapshot-copy.ts'
import { readSnapshotPoint } from './snapshot-point.ts'

const stepBytes = 1024 * 1024
/** So much waits for the disk at most. */
const unsyncedBytesMax = 4 * 1024 * 1024
/** Both connections of the copy read and write each page once: a larger cache would only be memory. */
const cacheKibibytes = 2048

class Stopped extends Error {
  override readonly message = 'the copy is no longer wanted'
}

const port = parentPort
if (port === null) throw new Error('snapshot-copy-thread.ts runs as a worker only')
const options = workerData as CopyOptions // handed over by snapshot-copy.ts

/** The database is open within `body` and at no other time. */
async function holding(body: () => Promise<void>): Promise<void> {
  if (Atomics.compareExchange(options.hold, 0, hold.notYet, hold.open) !== hold.notYet) throw new Stopped()
  try {
    await body()
  } finally {
    Atomics.store(options.hold, 0, hold.released)
    Atomics.notify(options.hold, 0)
  }
}

async function copyPages(): Promise<void> {
  const source = new Database(options.databasePath, { readonly: true, fileMustExist: true })
  // A descriptor of its own for the sync: only the copy's locks are lost when it is closed, and nobody else knows the copy.
  const target = openSync(options.copyPath, 'wx+', 0o600)
  try {
    source.pragma(`cache_size = -${cacheKibibytes}`)
    source.exec('BEGIN')
    readSnapshotPoint(source) // the first read fixes the state that is copied
    const pageBytes = source.pragma('page_size', { simple: true }) as number // one row, one integer
    const stepPages = Math.max(1, Math.floor(stepBytes / pageBytes))
    const pace = new Pace(() => fdatasyncSync(target))
    await source.backup(options.copyPath, {
      progress: () => {
        pace.step(stepBytes)
        return stepPages
      },
    })
    fsyncSync(target)
  } finally {
    closeSync(target)
    source.close()
  }
}

/** Everything is read back from the finished file. */
function describe(): CopyReply {
  const copy = new Database(options.copyPath, { fileMustExist: true })
  let point: ReturnType<typeof readSnapshotPoint>
  try {
    // The pages say WAL, as those they were copied from. Alone, the file must need no second one beside it.
    copy.pragma('journal_mode = DELETE')
    point = readSnapshotPoint(copy)
  } finally {
    copy.close()
  }
  if (point === undefined) return { kind: 'failed', message: 'it holds nothing that could replace the state of another node' }
  const { bytes, hash } = hashFile()
  syncDirectory(dirname(options.copyPath))
  return { kind: 'made', point, bytes, hash }
}

function hashFile(): { readonly bytes: number; readonly hash: string } {
  const descriptor = openSync(options.copyPath, 'r')
  try {
    fsyncSync(descriptor)
    const hash = createHash('sha256')
    const buffer = Buffer.alloc(stepBytes)
    const pace = new Pace(() => {})
    let bytes = 0
    for (;;) {
      const read = readSync(descriptor, buffer, 0, buffer.length, bytes)
      if (read === 0) return { bytes, hash: hash.digest('hex') }
      hash.update(buffer.subarray(0, read))
      bytes += read
      pace.step(read)
    }
  } finally {
    closeSync(descriptor)
  }
}

/** Rests as long as it has worked; ends the copy when it is no longer wanted. */
class Pace {
  readonly #sync: () => void
  #unsyncedBytes = 0
  #workedSinceMs = performance.now()

  constructor(sync: () => void) {
    this.#sync = sync
  }

  step(bytes: number): void {
    this.#unsyncedBytes += bytes
    if (this.#unsyncedBytes >= unsyncedBytesMax) {
      this.#sync()
      this.#unsyncedBytes = 0
    }
    const workedMs = performance.now() - this.#workedSinceMs
    if (Atomics.wait(options.stop, 0, 0, workedMs) !== 'timed-out') throw new Stopped()
    this.#workedSinceMs = performance.now()
  }
}

try {
  stepBehind()
  await holding(copyPages)
  port.postMessage(describe())
} catch (error) {
  port.postMessage({ kind: 'failed', message: error instanceof Error ? error.message : String(error) } satisfies CopyReply)
}
