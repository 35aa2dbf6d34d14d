// The thread that applies what may take long, with a write connection of its own. Only one of the two writes at a time: the main thread waits with its entries, not with
// its heartbeats. Every transaction is told as it is committed.
import assert from 'node:assert/strict'
import type Database from 'better-sqlite3'
import { entriesOf, type ApplyReply, type ApplyRequest, type ReplaceReply, type ReplaceRequest } from './apply-elsewhere.ts'
import { serveDatabaseThread } from './database-thread.ts'
import { freeBytesBeside } from './disk-space.ts'
import { EntryApplier } from './entry-applier.ts'
import { pack } from './packed-results.ts'
import { openWriteConnection } from './write-connection.ts'

/** Answers wait no longer than this for the entries behind theirs. */
const budgetMs = 20

serveDatabaseThread((setting, reply: (reply: ApplyReply | ReplaceReply) => void) => {
  let open: { readonly connection: Database.Database; readonly applier: EntryApplier } | undefined
  const applierFor = (): EntryApplier => {
    if (open !== undefined) {
      open.applier.takeBack()
      return open.applier
    }
    const connection = openWriteConnection(setting.path)
    open = { connection, applier: new EntryApplier(connection, freeBytesBeside(setting.path)) }
    return open.applier
  }
  return {
    handle: (request: ApplyRequest | ReplaceRequest) => {
      const applier = applierFor()
      if (request.kind === 'replace') {
        const [entry] = entriesOf(request.record)
        assert(entry !== undefined, 'a replacement is one entry')
        const replacement = applier.makeReplacement(entry, request.path)
        applier.handOver()
        reply({ kind: 'replaced', replacement })
        return
      }
      let rest = entriesOf(request.records)
      while (rest.length > 0) {
        const { applied } = applier.apply(rest, { budgetMs, costMax: Infinity })
        assert(applied.length > 0, 'what replaces the database is not handed over with other entries')
        rest = rest.slice(applied.length)
        const hashes = applied.map(({ index }) => applier.hashes.get(index))
        if (rest.length === 0) applier.handOver()
        reply({ kind: 'applied', applied: applied.map(pack), hashes, isLast: rest.length === 0 })
      }
    },
    release: () => {
      open?.connection.close()
      open = undefined
    },
    forget: () => {},
  }
})
