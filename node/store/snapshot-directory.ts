// Where snapshots lie: DATA_DIR/snapshots/. Copies made for others are of this process alone; what was received stays, because a transfer goes on after a restart.
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { syncDirectory } from '../log/directory-disk.ts'

export interface SnapshotPaths {
  readonly directory: string
  /** What is being received: a manifest and the bytes. */
  readonly incoming: string
  readonly incomingManifest: string
  readonly incomingData: string
  /** A database that is made of a file that came through the log (load-assembly.ts). */
  readonly loading: string
  /** A received database that is about to be put in place. */
  readonly installing: string
  /** Exists while the database is being replaced (snapshot-install.ts). */
  readonly intent: string
  /** Databases that were replaced, until they are removed. */
  readonly replaced: string
  /** What an earlier process left behind, until it is removed: freeing gigabytes takes longer than a start may. */
  readonly gone: string
}

const copyPrefix = 'copy-'

export function snapshotPaths(dataDir: string): SnapshotPaths {
  const directory = join(dataDir, 'snapshots')
  const incoming = join(directory, 'incoming')
  return {
    directory,
    incoming,
    incomingManifest: join(incoming, 'manifest.json'),
    incomingData: join(incoming, 'snapshot.sqlite'),
    loading: join(directory, 'loading.sqlite'),
    installing: join(directory, 'installing.sqlite'),
    intent: join(directory, 'install.json'),
    replaced: join(directory, 'replaced.sqlite'),
    gone: join(directory, 'gone'),
  }
}

/** Makes the directory; puts aside what is of no use any more, such as the copies of an earlier process, which nobody can name. */
export function openSnapshotDirectory(paths: SnapshotPaths): void {
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 })
  for (const name of readdirSync(paths.directory)) {
    if (name.startsWith(copyPrefix)) putAside(join(paths.directory, name), paths)
  }
  putAside(paths.replaced, paths)
  putAside(paths.loading, paths)
  rmSync(`${paths.loading}-journal`, { force: true })
  syncDirectory(paths.directory)
}

function putAside(path: string, { gone }: SnapshotPaths): void {
  if (!existsSync(path)) return
  mkdirSync(gone, { recursive: true, mode: 0o700 })
  renameSync(path, join(gone, randomUUID()))
}

export function copyDirectory(paths: SnapshotPaths, id: string): string {
  return join(paths.directory, `${copyPrefix}${id}`)
}

/** Of all snapshots, made and received. */
export function snapshotBytes(paths: SnapshotPaths): number {
  let sum = 0
  for (const entry of entriesBelow(paths.directory)) {
    if (entry.isFile()) sum += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0
  }
  return sum
}

function entriesBelow(directory: string): readonly Dirent[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
}
