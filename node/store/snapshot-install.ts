// Replaces the database by another one so that a crash at any step leaves the old or the new one, whole. What decides is one small file, the intent: before it is
// durable nothing of the old database has been touched; from then on the new one is put in its place, now or at the next start. It is removed when the log fits the new
// database durably: until then the next start may have to begin the log anew where the database stands.
import { existsSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { LogBase } from '../raft/raft-port.ts'
import { syncDirectory } from '../log/directory-disk.ts'
import { readJson, removeDurably, replaceDurably } from './durable-file.ts'
import type { SnapshotPaths } from './snapshot-directory.ts'

/** The steps of an install, each one call to the file system or a few; the tests bring one that dies between them. */
export interface InstallFiles {
  readonly exists: (path: string) => boolean
  readonly rename: (from: string, to: string) => void
  /** Missing ones are no error. */
  readonly remove: (path: string) => void
  readonly syncDirectory: (path: string) => void
  readonly replaceDurably: (path: string, text: string) => void
  readonly removeDurably: (path: string) => void
}

export const installFiles: InstallFiles = {
  exists: existsSync,
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
  syncDirectory,
  replaceDurably,
  removeDurably,
}

const intentShape = z.strictObject({ format: z.literal(1), index: z.number(), term: z.number(), reset: z.boolean() })

/** What was to be installed. `reset`: the log was to begin anew behind it. */
export interface InstallIntent {
  readonly point: LogBase
  readonly reset: boolean
}

export interface InstallPlace {
  readonly files: InstallFiles
  readonly paths: SnapshotPaths
  readonly databasePath: string
}

/** From here on the database will be the file at `from` (what was received), whatever happens. It leaves that place, where the next one may be made. */
export function beginInstall({ files, paths }: InstallPlace, { point, reset }: InstallIntent, from: string = paths.incomingData): void {
  files.rename(from, paths.installing)
  files.syncDirectory(paths.directory)
  files.replaceDurably(paths.intent, JSON.stringify({ format: 1, index: point.index, term: point.term, reset }))
}

/** Nobody has the database open. May be done again after a crash at any of its steps. */
export function swapDatabase({ files, paths, databasePath }: InstallPlace): void {
  if (!files.exists(paths.installing)) return // done before
  // The write-ahead log belongs to the old file: over the new one it would be read as its own. It must be gone before the new file has the name.
  files.remove(`${databasePath}-wal`)
  files.remove(`${databasePath}-shm`)
  files.syncDirectory(dirname(databasePath))
  // Moved, not removed: freeing gigabytes takes longer than a heartbeat may wait.
  if (files.exists(databasePath)) files.rename(databasePath, paths.replaced)
  files.rename(paths.installing, databasePath)
  files.syncDirectory(paths.directory)
  files.syncDirectory(dirname(databasePath))
}

/** The log fits the database durably. */
export function endInstall({ files, paths }: InstallPlace): void {
  files.removeDurably(paths.intent)
}

/** At start, before the database is opened: finishes an install that a crash has interrupted, and says what it was. */
export function redoInstall(place: InstallPlace): InstallIntent | undefined {
  const { files, paths } = place
  const intent = intentShape.safeParse(readJson(paths.intent))
  if (!intent.success) {
    files.remove(paths.installing) // of an install that never began
    return undefined
  }
  swapDatabase(place)
  const { index, term, reset } = intent.data
  return { point: { index, term }, reset }
}
