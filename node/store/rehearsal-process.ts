// The rehearsal process: `node rehearsal-process.ts DATABASE DIRECTORY GROWTH_BYTES_MAX`, forked by starter-process.ts. It applies commands to a copy that nobody sees, by the
// code that will apply them, and says which have passed. One that does not end is ended with it.
import process from 'node:process'
import type Database from 'better-sqlite3'
import { makeEntry } from '../raft/entry.ts'
import { freeBytesBeside } from './disk-space.ts'
import { noLimits } from './apply-limits.ts'
import { bookkeepingTable } from './bookkeeping.ts'
import { EntryApplier } from './entry-applier.ts'
import { HeavyNames, viewWeightMax } from './heavy-names.ts'
import { openCopy, removeCopy } from './rehearsal-copy.ts'
import type { RehearsalReply, RehearsalRequest } from './rehearsal-messages.ts'
import { SelfWatch } from './self-watch.ts'
import { EnvironmentFailure } from './sqlite-failure.ts'

const tooHeavy = `not allowed: views of views that would be written out more than ${viewWeightMax} times`

const [, , databasePath = '', directory = '', growthBytesMax = ''] = process.argv
const place = { databasePath, directory }
const watch = new SelfWatch({ growthBytesMax: Number(growthBytesMax) })
process.on('message', (request: RehearsalRequest) => void rehearse(request))
await send({ kind: 'ready' })

async function rehearse({ writes }: RehearsalRequest): Promise<void> {
  let copy: Database.Database
  try {
    copy = openCopy(place)
  } catch (error) {
    // A full disk takes no copy, and not every file system one that costs little.
    return send({ kind: 'unavailable', reason: error instanceof Error ? error.message : String(error) })
  }
  try {
    await send((await applyTo(copy, writes)) ?? { kind: 'done', isSwollen: watch.isSwollen })
  } catch (error) {
    if (!(error instanceof EnvironmentFailure)) throw error
    await send({ kind: 'failed', message: error.message })
  }
}

/** Undefined: all have passed. */
async function applyTo(connection: Database.Database, writes: RehearsalRequest['writes']): Promise<RehearsalReply | undefined> {
  try {
    // Of an entry that is half applied where the copy was made: the command here would begin behind those statements.
    connection.exec(`UPDATE ${bookkeepingTable} SET statements_done = 0`)
    const heavyNames = new HeavyNames(connection)
    const applier = new EntryApplier(connection, freeBytesBeside(databasePath))
    heavyNames.follow()
    const copied = { index: applier.progress.appliedIndex, term: applier.progress.appliedTerm }
    const wasTooHeavy = heavyNames.isTooHeavy
    for (const [at, { payload, processorMsMax }] of writes.entries()) {
      await send({ kind: 'began', at })
      const { appliedIndex, appliedTerm } = applier.progress
      watch.begin(processorMsMax)
      applier.apply([makeEntry({ index: appliedIndex + 1, term: appliedTerm, kind: 'command', payload })], noLimits)
      heavyNames.follow()
      watch.end()
      if (heavyNames.isTooHeavy && !wasTooHeavy) return { kind: 'refused', message: tooHeavy }
      await send({ kind: 'passed', at, copied })
    }
    return undefined
  } finally {
    connection.close()
    removeCopy(place)
  }
}

/** Resolves when it is written. */
function send(reply: RehearsalReply): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(reply, undefined, undefined, () => resolve())
  })
}
