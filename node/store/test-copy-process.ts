// A program for rehearsal-copy.test.ts: opens a copy as the rehearsal process does, which must be another process than the one that has the database open (SQLite keeps the
// locks and the WAL index of a process by file, not by name).
import { linkSync } from 'node:fs'
import process from 'node:process'
import { copyPath, openCopy } from './rehearsal-copy.ts'

export interface CopyWork {
  readonly place: { readonly databasePath: string; readonly directory: string }
  readonly run: string
  readonly read: string
  /** Gives the copy its second name back before it is closed. */
  readonly isNamed: boolean
}

process.on('message', ({ place, run, read, isNamed }: CopyWork) => {
  const copy = openCopy(place)
  const rows = copy.prepare(read).raw().all()
  copy.exec(run)
  const check: unknown = copy.pragma('integrity_check', { simple: true })
  if (isNamed) linkSync(place.databasePath, copyPath(place))
  copy.close()
  process.send?.({ rows, check })
})
