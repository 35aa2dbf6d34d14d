// Where snapshots lie: DATA_DIR/snapshots/. Copies made for others are of this process alone; what was received stays, because a transfer goes on after a restart.
import { mkdirSync, readdirSync, rmSync, statSync, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { syncDirectory } from './directory-disk.ts'

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
  }
}

/** Makes the directory; removes the copies of an earlier process, which nobody can name any more. */
export function openSnapshotDirectory(paths: SnapshotPaths): void {
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 })
  for (const name of readdirSync(paths.directory)) {
    if (name.startsWith(copyPrefix)) rmSync(join(paths.directory, name), { recursive: true, force: true })
  }
  rmSync(paths.replaced, { force: true })
  for (const suffix of ['', '-journal']) rmSync(`${paths.loading}${suffix}`, { force: true })
  syncDirectory(paths.directory)
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
