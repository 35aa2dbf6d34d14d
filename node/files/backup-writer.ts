// A throw-away process: `node backup-writer.ts PATH GROWTH_BYTES_MAX`, started by backup-writing.ts with a copy of the database at PATH that is its own to change. Told what is
// wanted, it takes out what is ours. What is left is the backup, or is written as text, part by part, each when the one before is being taken.
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import process from 'node:process'
import Database from 'better-sqlite3'
import { quotedName } from '../command/tokenizer.ts'
import { SelfWatch } from '../store/self-watch.ts'
import type { BackupOrder, WriterReply, WriterRequest } from './backup-writing.ts'
import { journalBytes, journalOffset } from './file-header.ts'
import { DumpRefused, dumpText } from './sql-dump.ts'

/** As long as that, in UTF-16 units: short enough for two of them beside a full disk, and to begin soon; long enough for what a part costs by itself. */
const partLengthMin = 2 * 1024 * 1024

const [, , path = '', growthBytesMax = ''] = process.argv
const watch = new SelfWatch({ growthBytesMax: Number(growthBytesMax) })
/** Until the node asks for the next answer nothing may be said, and no further part lie on the disk. */
let asked = Promise.withResolvers<void>()
process.on('message', (request: WriterRequest) => {
  asked.resolve()
  if (request.kind === 'next') return
  watch.begin()
  void write(request.order)
})

function tell(reply: WriterReply): void {
  asked = Promise.withResolvers()
  process.send?.(reply)
}

async function write(order: BackupOrder): Promise<void> {
  try {
    const database = new Database(path, { fileMustExist: true })
    database.pragma('trusted_schema = OFF')
    database.pragma('synchronous = OFF')
    removeOurs(database)
    if (order.format === 'sql') return await writeDump(database, order.tables)
    if (order.vacuum) database.exec('VACUUM')
    database.close()
    setJournalMode(order.format === 'binary' ? 'wal' : 'delete')
    tell({ kind: 'part', path, isLast: true })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    await asked.promise
    tell({ kind: error instanceof DumpRefused ? 'refused' : 'failed', reason })
  }
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

/** Whatever is refused is refused before the first text. The next part is made, in memory, before it is asked for: to ask takes a while. */
async function writeDump(database: Database.Database, tables: readonly string[]): Promise<void> {
  let count = 0
  const give = async (text: string, isLast: boolean): Promise<void> => {
    count += 1
    const part = `${path}-part-${count}`
    await asked.promise
    writeFileSync(part, text, { mode: 0o600 })
    tell({ kind: 'part', path: part, isLast })
  }
  let gathered = ''
  for (const text of dumpText(database, tables)) {
    gathered += text
    if (gathered.length < partLengthMin) continue
    await give(gathered, false)
    gathered = ''
  }
  await give(gathered, true)
}

function setJournalMode(mode: 'wal' | 'delete'): void {
  const descriptor = openSync(path, 'r+')
  writeSync(descriptor, journalBytes(mode), 0, undefined, journalOffset)
  closeSync(descriptor)
}
