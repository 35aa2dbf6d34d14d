// The thread that copies the WAL back into the database and syncs, so that neither the main thread nor, but for a moment, writes wait for it.
//
// SQLite syncs the database only in a checkpoint that reaches the WAL's end, which a copy beside running writes does not. All that such copies have written would then be
// synced while writes wait. So this thread syncs it itself, behind each copy, through a descriptor of its own. Closing any descriptor of the database file drops the POSIX
// locks that the process has on it (SQLite's among them), so this one is closed only when no connection is left: `forget`, after the last one is closed.
import { closeSync, fdatasyncSync, openSync } from 'node:fs'
import type Database from 'better-sqlite3'
import { serveDatabaseThread } from './database-thread.ts'
import { EnvironmentFailure, runOwn } from './sqlite-failure.ts'
import type { WalReply, WalRequest } from './wal-keeper.ts'
import { syncWal } from './wal-sync.ts'
import { openWriteConnection } from './write-connection.ts'

serveDatabaseThread((setting, reply: (reply: WalReply) => void) => {
  let connection: Database.Database | undefined
  let descriptor: number | undefined
  return {
    handle: (request: WalRequest) => {
      if (request.kind === 'sync') {
        syncWal(setting.path)
        reply({ kind: 'synced', id: request.id })
        return
      }
      connection ??= openWriteConnection(setting.path)
      if (request.kind === 'empty') {
        reply({ kind: 'emptied', isEmpty: !checkpoint(connection, 'TRUNCATE', request.patienceMs).isBusy })
        return
      }
      const copied = checkpoint(connection, 'PASSIVE', 0)
      descriptor ??= openSync(setting.path, 'r')
      syncCopied(descriptor)
      reply({ kind: 'copied', ...copied })
    },
    release: () => {
      connection?.close()
      connection = undefined
    },
    forget: () => {
      if (descriptor !== undefined) closeSync(descriptor)
      descriptor = undefined
    },
  }
})

function syncCopied(descriptor: number): void {
  try {
    fdatasyncSync(descriptor)
  } catch (error) {
    throw new EnvironmentFailure(`the database could not be synced: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

/** `patienceMs`: how long it may wait for readers to end. */
function checkpoint(
  connection: Database.Database,
  mode: 'PASSIVE' | 'TRUNCATE',
  patienceMs: number,
): { readonly isBusy: boolean; readonly frames: number; readonly framesCopied: number } {
  return runOwn(() => {
    connection.pragma(`busy_timeout = ${patienceMs}`)
    const rows = connection.pragma(`wal_checkpoint(${mode})`) as { busy: number; log: number; checkpointed: number }[] // SQLite's documentation, PRAGMA wal_checkpoint
    const row = rows[0]
    if (row === undefined) throw new EnvironmentFailure('a checkpoint answered nothing')
    return { isBusy: row.busy !== 0, frames: row.log, framesCopied: row.checkpointed }
  })
}
