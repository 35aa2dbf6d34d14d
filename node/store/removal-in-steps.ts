// Large files are removed in steps. To free gigabytes at once takes the file system hundreds of milliseconds, and every sync of the log waits for the better part of that
// (2 GB on ext4: 80 ms, in steps 28; on a busy machine, as a sync without any of it took 13 to 24).
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const stepBytes = 64 * 1024 * 1024
const restMs = 20

/**
 * A file, or a folder with what is in it; what does not exist is no error. Aborted, it removes what is small and leaves the rest. Whoever still reads a large one finds it
 * shorter.
 */
export async function removeInSteps(
  path: string,
  options: { readonly signal?: AbortSignal; readonly rest?: () => Promise<unknown> } = {},
): Promise<void> {
  const { signal, rest = () => delay(restMs) } = options
  for (const file of await filesAt(path)) {
    const handle = await open(file, 'r+').catch(missing)
    if (handle === undefined) continue
    let { size } = await handle.stat()
    for (; size > stepBytes; size -= stepBytes) {
      if (signal?.aborted === true) break
      await handle.truncate(size - stepBytes)
      await rest()
    }
    await handle.close()
    if (size > stepBytes) return
  }
  await rm(path, { recursive: true, force: true })
}

async function filesAt(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(missing)
  if (found?.isDirectory() !== true) return [path]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

function missing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
