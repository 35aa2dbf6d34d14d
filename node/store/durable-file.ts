// Small files that are replaced as a whole: written beside, synced, renamed, and the directory synced. After a crash there is the old or the new one, never a mixture.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncDirectory } from '../log/directory-disk.ts'

/** Durable when it returns; 0600. */
export function replaceDurably(path: string, text: string): void {
  const temporary = `${path}.tmp`
  rmSync(temporary, { force: true }) // left by a crash
  const descriptor = openSync(temporary, 'wx', 0o600)
  try {
    // In as many steps as it takes: on a disk that is nearly full one write may take only a part, without an error.
    writeFileSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(temporary, path)
  syncDirectory(dirname(path))
}

/** Gone for good when it returns, or was not there. */
export function removeDurably(path: string): void {
  if (!existsSync(path)) return
  rmSync(path, { recursive: true, force: true })
  syncDirectory(dirname(path))
}

/** The JSON of a small file; undefined when there is none or it is no JSON. */
export function readJson(path: string): unknown {
  if (!existsSync(path)) return undefined
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined // not JSON
  }
}
