// The process that reads a whole database: `node check-process.ts DIRECTORY`, forked by starter-process.ts. First what SQLite finds wrong with the file, in one statement, then
// one hash over what it holds, resting in between as long as it has worked. A damaged file may crash or swell it; the node is not touched by that.
import { createHash } from 'node:crypto'
import process from 'node:process'
import { setTimeout as rest } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import { bookkeepingTable } from './bookkeeping.ts'
import { openCheckCopy } from './check-copy.ts'
import type { CheckReply } from './check-messages.ts'
import { hashContent, hashProgress } from './content-hash.ts'
import { damageIn, integrityFaults } from './integrity.ts'
import { SelfWatch } from './self-watch.ts'

/** A row may have 64 MiB, which is in memory more than once. */
const growthBytesMax = 512 * 1024 * 1024

const [, , directory = ''] = process.argv
new SelfWatch({ growthBytesMax }).begin()
await send(await look())
process.disconnect?.()

async function look(): Promise<CheckReply> {
  let database: Database.Database | undefined
  try {
    database = openCheckCopy(directory)
    const faults = integrityFaults(database, 'integrity_check')
    void send({ kind: 'structure-read' })
    const content = await contentOf(database)
    if (typeof content !== 'string') return { kind: 'found', appliedIndex: 0, faults: [...faults, content.damage], content: undefined }
    const appliedIndex = database.prepare(`SELECT applied_index FROM ${bookkeepingTable}`).pluck().get() as number // its one row
    return { kind: 'found', appliedIndex, faults, content }
  } catch (error) {
    const damage = damageIn(error)
    if (damage !== undefined) return { kind: 'found', appliedIndex: 0, faults: [damage], content: undefined }
    return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) }
  } finally {
    database?.close()
  }
}

async function contentOf(database: Database.Database): Promise<string | { readonly damage: string }> {
  try {
    const steps = hashContent(database)
    for (;;) {
      const startedAtMs = performance.now()
      const step = steps.next()
      if (step.done === true) return createHash('sha256').update(step.value).update(hashProgress(database)).digest('hex')
      await rest(performance.now() - startedAtMs)
    }
  } catch (error) {
    const damage = damageIn(error)
    if (damage === undefined) throw error
    return { damage }
  }
}

/** Resolves when it is written. */
function send(reply: CheckReply): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(reply, undefined, undefined, () => resolve())
  })
}
