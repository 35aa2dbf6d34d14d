// The door of the room: files that clients send and take, in two directories below the data directory that are empty at every start.
import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from '../../runtime/log.ts'
import type { Backups } from '../api/backups.ts'
import type { FileIntake } from '../api/file-intake.ts'
import type { DatabaseCopier } from '../store/database-copier.ts'
import { BackupMaker } from './backup-maker.ts'
import { FileInbox } from './file-inbox.ts'

/** Nothing needs closing: whoever waits for a file has gone by the time the node ends, and the processes end with it. */
export interface OpenedFiles {
  readonly intake: FileIntake
  readonly backups: Backups
}

export function openFiles(options: {
  readonly dataDir: string
  readonly copier: Pick<DatabaseCopier, 'copyTo'>
  readonly databaseBytes: () => number
  readonly logger: Logger
}): OpenedFiles {
  const { dataDir, copier, databaseBytes, logger } = options
  const readFreeBytes = (): number => {
    const { bavail, bsize } = statfsSync(dataDir)
    return bavail * bsize
  }
  return {
    intake: new FileInbox({ directory: join(dataDir, 'uploads'), readFreeBytes }),
    backups: new BackupMaker({ directory: join(dataDir, 'backups'), copier, databaseBytes, readFreeBytes, logger }),
  }
}
