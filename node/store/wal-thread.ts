// The thread that copies the WAL back into the database and syncs, so that the main thread waits for neither.
import type Database from 'better-sqlite3'
import { serveDatabaseThread } from './database-thread.ts'
import { EnvironmentFailure, answerOf } from './sqlite-failure.ts'
import type { WalReply, WalRequest } from './wal-keeper.ts'
import { syncWal } from './wal-sync.ts'
import { openWriteConnection } from './write-connection.ts'

serveDatabaseThread<WalRequest, WalReply>((setting, reply) => {
  let connection: Database.Database | undefined
  return {
    handle: (request) => {
      if (request.kind === 'sync') {
        syncWal(setting.path)
        reply({ kind: 'synced', id: request.id })
        return
      }
      connection ??= openWriteConnection(setting.path)
      if (request.kind === 'copy') reply({ kind: 'copied', ...checkpoint(connection, 'PASSIVE', 0) })
      else reply({ kind: 'emptied', isEmpty: !checkpoint(connection, 'TRUNCATE', request.patienceMs).isBusy })
    },
    release: () => {
      connection?.close()
      connection = undefined
    },
  }
})

/** `patienceMs`: how long it may wait for readers to end. */
function checkpoint(
  connection: Database.Database,
  mode: 'PASSIVE' | 'TRUNCATE',
  patienceMs: number,
): { readonly isBusy: boolean; readonly frames: number; readonly framesCopied: number } {
  try {
    connection.pragma(`busy_timeout = ${patienceMs}`)
    const rows = connection.pragma(`wal_checkpoint(${mode})`) as { busy: number; log: number; checkpointed: number }[] // SQLite's documentation, PRAGMA wal_checkpoint
    const row = rows[0]
    if (row === undefined) throw new EnvironmentFailure('a checkpoint answered nothing')
    return { isBusy: row.busy !== 0, frames: row.log, framesCopied: row.checkpointed }
  } catch (error) {
    throw new EnvironmentFailure(answerOf(error), { cause: error })
  }
}
