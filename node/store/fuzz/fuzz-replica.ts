// One replica: a state machine on a file, fed with entries in groups of its own, opened anew now and then, and looked at from outside.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type Database from 'better-sqlite3'
import type { CommandOutcome, StatementResult } from '../../command/command.ts'
import type { Entry } from '../../raft/entry.ts'
import type { Chance } from './chance.ts'
import { fingerprintDatabase } from '../database-fingerprint.ts'
import { freeBytesMin } from '../disk-space.ts'
import { SqliteStateMachine } from '../sqlite-state-machine.ts'
import { hashText } from '../state-hash.ts'
import { decodeHashPayload } from '../state-hash.ts'
import { openWriteConnection } from '../write-connection.ts'

/** A machine that has stopped: why, and what it was given and has not applied. */
export interface Stop {
  readonly message: string
  readonly entries: readonly Entry[]
}

export interface ReplicaOptions {
  readonly name: string
  /** Entries in a group. */
  readonly groupMax: number
  /** In percent, behind each group. */
  readonly restarts: number
  readonly elsewhere: 'threads' | 'nowhere'
  /** For a second copy of the database. */
  readonly hasRoom: boolean
}

/** Nothing of it may change but by an entry. */
const settings = 'foreign_keys recursive_triggers reverse_unordered_selects writable_schema query_only trusted_schema locking_mode journal_mode synchronous temp_store case_sensitive_like ignore_check_constraints cell_size_check defer_foreign_keys'.split(' ') // prettier-ignore

export class FuzzReplica {
  readonly name: string
  readonly #options: ReplicaOptions
  readonly #chance: Chance
  readonly #directory = mkdtempSync(join(tmpdir(), 'sql-fuzz-'))
  readonly #path = join(this.#directory, 'db.sqlite')
  readonly #results = new Map<number, readonly unknown[]>()
  #fatal: string | undefined
  #connection: Database.Database
  #machine: SqliteStateMachine
  #expectedSettings: string
  #told: (() => void) | undefined

  constructor(options: ReplicaOptions, chance: Chance) {
    this.name = options.name
    this.#options = options
    this.#chance = chance
    writeFileSync(this.#path, '')
    this.#connection = openWriteConnection(this.#path)
    this.#machine = this.#open()
    this.#expectedSettings = this.#settings()
  }

  /** For reading the schema. */
  get database(): Database.Database {
    return this.#connection
  }

  /** `onGroup` hears of each group before it is applied. Undefined: all is applied. */
  async apply(entries: readonly Entry[], onGroup: (group: readonly Entry[]) => void): Promise<Stop | undefined> {
    for (let at = 0; at < entries.length;) {
      const size = 1 + this.#chance.below(this.#options.groupMax)
      const group = entries.slice(at, at + size)
      at += group.length
      const last = group.at(-1)?.index ?? 0
      onGroup(group)
      try {
        const told = this.#news()
        this.#machine.apply(group)
        await told
        while (!this.#results.has(last) && this.#fatal === undefined) await this.#news()
        // Closed by a VACUUM; the machine's new one is out of sight.
        if (this.#fatal === undefined && (this.#chance.isLucky(this.#options.restarts) || !this.#connection.open)) await this.#reopen()
      } catch (error) {
        // A broken invariant: what the fuzzer looks for.
        this.broke(error)
      }
      // A machine that has stopped tells nothing more.
      if (this.#fatal !== undefined) return { message: this.#fatal, entries: group.filter(({ index }) => !this.#results.has(index)) }
    }
    return undefined
  }

  /** Something was thrown where nobody could catch it, while this replica was at work. */
  broke(error: unknown): void {
    this.#fatal ??= error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#told?.()
  }

  /** Without their times. */
  results(index: number): readonly unknown[] {
    return this.#results.get(index) ?? []
  }

  forgetResults(): void {
    this.#results.clear()
  }

  /** Undefined: nothing has got out. */
  escape(appliedIndex: number): string | undefined {
    if (this.#connection.inTransaction) return 'a transaction is open'
    const databases = (this.#connection.pragma('database_list') as { readonly name: string }[]).map(({ name }) => name)
    if (databases.some((name) => name !== 'main' && name !== 'temp')) return `databases: ${databases.join(', ')}`
    if (this.#machine.appliedIndex !== appliedIndex) return `stands at ${this.#machine.appliedIndex} instead of ${appliedIndex}`
    const now = this.#settings()
    if (now !== this.#expectedSettings) return `settings: ${now} instead of ${this.#expectedSettings}`
    const strangers = readdirSync(this.#directory).filter((name) => !name.startsWith('db.sqlite') && name !== 'snapshots')
    return strangers.length > 0 ? `files: ${strangers.join(', ')}` : undefined
  }

  stateHash(): string {
    const payload = decodeHashPayload(this.#machine.stateHash() ?? new Uint8Array())
    return payload?.kind === 'compare' ? hashText(payload.hash) : 'none'
  }

  fingerprint(): string {
    return fingerprintDatabase(this.#path).hash
  }

  async dispose(): Promise<void> {
    const closed = this.#machine.close()
    // What has stopped in the middle may not be closed in order; why it has stopped is what counts.
    await (this.#fatal === undefined ? closed : closed.catch(() => {}))
    rmSync(this.#directory, { recursive: true, maxRetries: 20, retryDelay: 50 })
  }

  #news(): Promise<void> {
    return new Promise((resolve) => (this.#told = resolve))
  }

  #open(): SqliteStateMachine {
    const machine = new SqliteStateMachine(this.#connection, {
      onFatal: ({ code, message, cause }) => this.broke(`${code}: ${message} (${cause instanceof Error ? cause.message : String(cause)})`),
      elsewhere: this.#options.elsewhere,
      // Room for what statements need, but not for more.
      ...(this.#options.hasRoom ? {} : { readFreeBytes: () => freeBytesMin }),
    })
    machine.onApplied((applied) => {
      for (const { index, outcome } of applied) {
        if (outcome !== undefined) this.#results.set(index, (outcome as CommandOutcome).results.map(comparable))
      }
      this.#told?.()
    })
    return machine
  }

  async #reopen(): Promise<void> {
    await this.#machine.close()
    this.#connection = openWriteConnection(this.#path)
    this.#machine = this.#open()
  }

  /** Foreign keys are changed by entries. */
  #settings(): string {
    return settings
      .filter((name) => name !== 'foreign_keys')
      .map((name) => `${name} ${String(this.#connection.pragma(name, { simple: true }))}`)
      .join(', ')
  }
}

/** Without how long it took, and with bytes of one kind: those that come from a thread have lost their class. */
function comparable(result: StatementResult): unknown {
  const rest = { ...result, seconds: 0 }
  if (rest.kind !== 'rows') return rest
  // EXPLAIN tells of pages and of triggers that guard a table: of a node, not of the data.
  if (rest.columns[0]?.name === 'addr') return 'a program'
  return {
    ...rest,
    rows: rest.rows.map((row) => row.map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value))),
  }
}
