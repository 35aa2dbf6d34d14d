// Syncs a file now and then while SQLite writes it in another thread. Without this everything is synced at the end, and the log's own syncs wait for it. It opens and closes
// the file by itself, which drops the locks that this process has on it: that is harmless only as long as nobody else knows the file.
import { open, stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

const stepBytes = 4 * 1024 * 1024
const restMs = 50

/** Ends when it is told to: what is returned resolves when the file is closed. `onFailed`: what was written may be lost. A file that is not there (any more) is none. */
export function syncSteadily(path: string, onFailed: (error: Error) => void): () => Promise<void> {
  const stopping = new AbortController()
  const ended = run(path, stopping.signal).catch((error: unknown) => onFailed(error instanceof Error ? error : new Error(String(error))))
  return () => {
    stopping.abort()
    return ended
  }
}

async function run(path: string, signal: AbortSignal): Promise<void> {
  for (let synced = 0; !signal.aborted;) {
    const size = await stat(path).then((found) => found.size, missing)
    if (size - synced >= stepBytes) {
      await syncOnce(path)
      synced = size
    }
    await delay(restMs)
  }
}

async function syncOnce(path: string): Promise<void> {
  const file = await open(path, 'r').catch(missing)
  if (file === 0) return
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}

function missing(error: unknown): 0 {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
  throw error
}
