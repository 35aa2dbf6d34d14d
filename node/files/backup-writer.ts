// A throw-away process: `node backup-writer.ts PATH GROWTH_BYTES_MAX`, started by backup-maker.ts with a copy of the database at PATH that is its own to change. Told what is
// wanted, it takes out what is ours, and writes the backup to its standard output, no faster than it is read there.
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import process from 'node:process'
import Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import { stepBehind } from '../store/quiet-thread.ts'
import { SelfWatch } from '../store/self-watch.ts'
import type { BackupOrder, WriterReply } from './backup-maker.ts'
import { journalBytes, journalOffset } from './file-header.ts'
import { DumpRefused, dumpText } from './sql-dump.ts'

const chunkBytes = 256 * 1024
const output = 1
const pauseMs = 5

const [, , path = '', growthBytesMax = ''] = process.argv
const watch = new SelfWatch({ growthBytesMax: Number(growthBytesMax) })
stepBehind()
process.once('message', (order: BackupOrder) => {
  watch.begin()
  try {
    write(order)
    closeSync(output)
    tell({ kind: 'done' })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    tell({ kind: error instanceof DumpRefused ? 'refused' : 'failed', reason })
  }
})

function tell(reply: WriterReply): void {
  process.send?.(reply)
}

function write(order: BackupOrder): void {
  const database = new Database(path, { fileMustExist: true })
  database.pragma('trusted_schema = OFF')
  database.pragma('synchronous = OFF')
  removeOurs(database)
  if (order.format === 'sql') {
    writeDump(database, order.tables)
    return
  }
  if (order.vacuum) database.exec('VACUUM')
  database.close()
  writeFile(order.format === 'binary' ? 'wal' : 'delete')
}

/** How far the log is applied and who the members are is of this cluster, not of the users' data; what a load has staged is of nobody yet. */
function removeOurs(database: Database.Database): void {
  database.pragma('secure_delete = ON')
  const names = database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '\\_securesql\\_%' ESCAPE '\\'")
    .pluck()
    .all() as string[]
  for (const name of names) database.exec(`DROP TABLE ${quotedName(name)}`)
}

/** The first text is asked for before the node is told that there is a backup: whatever is refused is refused by then. */
function writeDump(database: Database.Database, tables: readonly string[]): void {
  let gathered = ''
  let isReady = false
  for (const text of dumpText(database, tables)) {
    if (!isReady) tell({ kind: 'ready' })
    isReady = true
    gathered += text
    if (gathered.length < chunkBytes) continue
    writeAll(Buffer.from(gathered))
    gathered = ''
  }
  writeAll(Buffer.from(gathered))
}

function writeFile(mode: 'wal' | 'delete'): void {
  const descriptor = openSync(path, 'r')
  tell({ kind: 'ready' })
  const buffer = Buffer.alloc(chunkBytes)
  for (let at = 0; ;) {
    const read = readSync(descriptor, buffer, 0, buffer.length, at)
    if (read === 0) return
    if (at === 0) buffer.set(journalBytes(mode), journalOffset)
    writeAll(buffer.subarray(0, read))
    at += read
  }
}

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(output, bytes, at)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs) // nobody has read yet
    }
  }
}
