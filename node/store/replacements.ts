// Entries that put another database in the place of the present one: the end of a load, and VACUUM. Each has its turn alone. The next database is made beside the present
// one, by whichever thread applies what takes long; whoever has the database open then swaps it (sqlite-state-machine.ts). When there is none, the present one stays and the
// entry is applied to it like any other.
import assert from 'node:assert/strict'
import type Database from 'better-sqlite3'
import type { Command, StatementResult } from '../command/command.ts'
import { entryTimeMs } from '../command/entry-moment.ts'
import type { LoadStep } from '../command/load-step.ts'
import { upkeepOf } from '../command/upkeep.ts'
import type { Entry } from '../raft/entry.ts'
import type { Progress } from './bookkeeping.ts'
import { rewriteDatabase } from './database-rewriting.ts'
import type { ReadFreeBytes } from './disk-space.ts'
import { commandOf, isStep } from './entry-content.ts'
import { assembleLoad } from './load-assembly.ts'
import { accepted, refusedLoad, type LoadRefusal, type LoadStaging } from './load-staging.ts'
import { HashFold, type Trace } from './state-hash.ts'
import type { StoreLogger } from './store-logger.ts'
import type { UpkeepRunner } from './upkeep-runner.ts'

export type Replacement =
  /** It lies where it was to be made. `content`: `same`, when only its form is another. */
  | { readonly kind: 'ready'; readonly content: 'same' | 'other'; readonly result: StatementResult }
  /** The loaded file is unusable, on every node alike. */
  | { readonly kind: 'refused'; readonly refusal: LoadRefusal }
  /** This node could not write its database anew. The others need not know: nothing that an entry can see depends on it. */
  | { readonly kind: 'kept'; readonly result: StatementResult; readonly reason: string }

interface ReplacementParts {
  readonly database: Database.Database
  readonly staging: LoadStaging
  readonly upkeep: UpkeepRunner
  readonly readFreeBytes: ReadFreeBytes
}

export class Replacements {
  readonly #parts: ReplacementParts

  constructor(parts: ReplacementParts) {
    this.#parts = parts
  }

  isDue(command: Command | LoadStep | undefined): boolean {
    if (command === undefined) return false
    if (isStep(command)) return this.#parts.staging.isComplete(command)
    const upkeep = upkeepOf(command)
    return upkeep?.kind === 'vacuum' && this.#parts.upkeep.judgeVacuum(upkeep.sql, command) === 'rewrites'
  }

  /** `progress`: before the entry. */
  make(entry: Entry, progress: Progress, path: string): Replacement {
    const { database, readFreeBytes } = this.#parts
    const command = commandOf(entry)
    assert(command !== undefined && this.isDue(command), 'the entry replaces the database')
    if (isStep(command)) {
      assert(command.kind === 'load-end', 'the end of a load is assembled')
      const outcome = assembleLoad({ database, path, entry, step: command })
      return outcome === 'ready' ? { kind: 'ready', content: 'other', result: accepted.result } : { kind: 'refused', refusal: outcome }
    }
    const startedAtMs = performance.now()
    const rewriting = rewriteDatabase({ database, path, readFreeBytes, progress: progressAfter(entry, command, progress) })
    const seconds = (performance.now() - startedAtMs) / 1000
    return rewriting.kind === 'ready'
      ? { kind: 'ready', content: 'same', result: { ...vacuumed(progress).result, seconds } }
      : { kind: 'kept', result: { kind: 'error', message: rewriting.message, seconds }, reason: rewriting.message }
  }
}

/** What the present database says behind the entry, and what that answers. */
export function entryWithout(
  replacement: Exclude<Replacement, { kind: 'ready' }>,
  entry: Entry,
  progress: Progress,
): { readonly progress: Progress; readonly result: StatementResult; readonly abort: LoadStep | undefined } {
  const command = commandOf(entry)
  assert(command !== undefined, 'the entry would have replaced the database')
  if (replacement.kind === 'kept') {
    assert(!isStep(command), 'a file that is loaded is used or refused')
    return { progress: progressAfter(entry, command, progress), result: replacement.result, abort: undefined }
  }
  assert(isStep(command), 'a load was refused')
  const trace = refusedLoad(replacement.refusal)
  return {
    progress: { ...progress, ...arrivedAt(entry, trace, progress) },
    result: trace.result,
    abort: { kind: 'load-abort', id: command.id },
  }
}

/** Of a VACUUM: the same whether the file could be written anew or not. */
function progressAfter(entry: Entry, { proposedAtMs }: Command, progress: Progress): Progress {
  const timeMs = entryTimeMs(progress.timeMs, proposedAtMs)
  return { ...progress, ...arrivedAt(entry, vacuumed(progress), progress), timeMs, vacuumedMs: timeMs, loadLeftBytes: 0 }
}

/** SQLite's VACUUM leaves changes() and last_insert_rowid() as they were. */
function vacuumed({ lastInsertId, rowsAffected }: Progress): Trace {
  return { result: { kind: 'written', lastInsertId, rowsAffected, seconds: 0 }, effect: 0 }
}

function arrivedAt(entry: Entry, trace: Trace, { hash }: Progress): Pick<Progress, 'appliedIndex' | 'appliedTerm' | 'hash'> {
  const fold = new HashFold(hash)
  fold.entry(entry)
  fold.statement(trace)
  return { appliedIndex: entry.index, appliedTerm: entry.term, hash: fold.value }
}

/** What became of a VACUUM; a load is told of elsewhere. */
export function logReplacement(
  replacement: Replacement,
  { index, bytes, logger }: { readonly index: number; readonly bytes: number; readonly logger: StoreLogger | undefined },
): void {
  if (replacement.kind === 'kept')
    return logger?.warn({ index, reason: replacement.reason }, 'VACUUM was left out: the database stays as it is, with its free pages')
  if (replacement.kind !== 'ready' || replacement.content === 'other') return undefined
  return logger?.info({ index, bytes, ms: Math.round(replacement.result.seconds * 1000) }, 'the database was written anew')
}
