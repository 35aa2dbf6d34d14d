// For the tests of the state machine: one on a database in a temporary directory, and short ways to write commands and read what is stored.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { encodeCommand } from '../command/command-codec.ts'
import type { Command, CommandOutcome, SqlValue, StatementResult } from '../command/command.ts'
import { seedBytes } from '../command/entry-moment.ts'
import { makeEntry, type Entry } from '../raft/entry.ts'
import { eventually } from '../replica/eventually.ts'
import type { StateHashUnderTest } from '../replica/state-hash-contract.ts'
import type { Divergence } from '../replica/state-machine.ts'
import { bookkeepingTable, openBookkeeping } from './bookkeeping.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import type { ReadFreeBytes } from './disk-space.ts'
import type { FatalProblem } from './fatal.ts'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import { openWriteConnection } from './write-connection.ts'

export type ShortStatement = string | readonly [sql: string, ...values: SqlValue[]]

export function command(statements: readonly ShortStatement[], options: Partial<Omit<Command, 'statements'>> = {}): Command {
  return {
    kind: options.kind ?? 'execute',
    transaction: options.transaction ?? false,
    statements: statements.map((statement) => {
      const [sql, ...values] = typeof statement === 'string' ? [statement] : statement
      return { sql, parameters: { kind: 'positional', values: values.map(wholeAsInteger) } }
    }),
    proposedAtMs: options.proposedAtMs ?? 0,
    seed: options.seed ?? new Uint8Array(seedBytes),
  }
}

/** Tests write `1` for the INTEGER; `1.5` and `-0` stay REAL. */
function wholeAsInteger(value: SqlValue): SqlValue {
  return typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
}

export function logOf(commands: readonly Command[], from = 1): readonly Entry[] {
  return commands.map((one, at) => makeEntry({ index: from + at, term: 1, kind: 'command', payload: encodeCommand(one) }))
}

export interface TestMachineOptions {
  readonly foreignKeys?: boolean
  readonly readFreeBytes?: ReadFreeBytes
  readonly elsewhere?: 'threads' | 'nowhere'
}

export class TestMachine {
  readonly path: string
  readonly fatal: FatalProblem[] = []
  readonly #directory: string
  readonly #readFreeBytes: ReadFreeBytes
  readonly #elsewhere: 'threads' | 'nowhere'
  readonly divergences: Divergence[] = []
  #toldIndex = 0
  machine: SqliteStateMachine
  #outcomes = new Map<number, CommandOutcome>()

  constructor(options: TestMachineOptions = {}) {
    this.#elsewhere = options.elsewhere ?? 'nowhere'
    this.#readFreeBytes = options.readFreeBytes ?? (() => Number.MAX_SAFE_INTEGER)
    this.#directory = mkdtempSync(join(tmpdir(), 'state-machine-'))
    this.path = join(this.#directory, 'db.sqlite')
    writeFileSync(this.path, '')
    if (options.foreignKeys === true) this.#setForeignKeys()
    this.machine = this.#open()
  }

  /** As an entry of an earlier life has. */
  #setForeignKeys(): void {
    const database = openWriteConnection(this.path)
    openBookkeeping(database)
    database.exec(`UPDATE ${bookkeepingTable} SET foreign_keys = 1`)
    database.close()
  }

  #open(): SqliteStateMachine {
    const database = openWriteConnection(this.path)
    const machine = new SqliteStateMachine(database, {
      onFatal: (problem) => this.fatal.push(problem),
      readFreeBytes: this.#readFreeBytes,
      elsewhere: this.#elsewhere,
    })
    machine.onDiverged((divergence) => this.divergences.push(divergence))
    machine.onApplied((applied) => {
      this.#toldIndex = applied.at(-1)?.index ?? this.#toldIndex
      for (const { index, outcome } of applied) if (outcome !== undefined) this.#outcomes.set(index, outcome as CommandOutcome)
    })
    return machine
  }

  async reopen(): Promise<void> {
    await this.machine.close()
    this.machine = this.#open()
  }

  /** Applies the entries in groups of the given sizes, the last of them over and over. */
  async apply(entries: readonly Entry[], sizes: readonly number[] = [entries.length]): Promise<void> {
    let at = 0
    this.#toldIndex = this.machine.appliedIndex
    for (let turn = 0; at < entries.length; turn += 1) {
      const size = sizes[Math.min(turn, sizes.length - 1)] ?? 1
      this.machine.apply(entries.slice(at, at + size))
      await Promise.resolve() // the listener hears of it after the turn
      at += size
    }
    if (this.#elsewhere === 'threads') await this.#told(entries.at(-1)?.index ?? 0)
  }

  async #told(index: number): Promise<void> {
    await eventually(() => this.#toldIndex >= index || this.fatal.length > 0 || this.divergences.length > 0, `entry ${index} is applied`)
  }

  /** Applies one command and gives its results without the times. */
  async run(statements: readonly ShortStatement[], options: Partial<Omit<Command, 'statements'>> = {}): Promise<readonly unknown[]> {
    const index = this.machine.appliedIndex + 1
    await this.apply(logOf([command(statements, options)], index))
    return this.results(index)
  }

  results(index: number): readonly unknown[] {
    return (this.#outcomes.get(index)?.results ?? []).map(withoutTime)
  }

  /** Rows of a query, read by a connection of its own. */
  rows(sql: string): unknown[] {
    const database = new Database(this.path, { readonly: true })
    try {
      return database.prepare(sql).raw().all()
    } finally {
      database.close()
    }
  }

  async dispose(): Promise<void> {
    await this.machine.close()
    rmSync(this.#directory, { recursive: true, maxRetries: 20, retryDelay: 50 })
  }
}

function insert(n: number): Uint8Array {
  return encodeCommand(command(['CREATE TABLE IF NOT EXISTS t (n INTEGER)', ['INSERT INTO t VALUES (?)', n]], { transaction: n % 2 === 0 }))
}

/** A machine for one test, in which nothing may be fatal. */
export async function onMachine(body: (world: TestMachine) => Promise<void>, options?: TestMachineOptions): Promise<void> {
  const world = new TestMachine(options)
  try {
    await body(world)
    assert.deepEqual(world.fatal, [])
  } finally {
    await world.dispose()
  }
}

export interface GroupedLog {
  /** Applied before, in an entry of its own, and met by the rest as a start finds it. */
  readonly schema?: readonly ShortStatement[]
  readonly commands: readonly Command[]
  /** Entries in a group, over and over. */
  readonly sizes: readonly number[]
  /** Behind each group. */
  readonly restarts?: boolean
}

/** All that may not depend on how the log is cut. */
export interface End {
  readonly results: readonly unknown[]
  readonly fingerprint: unknown
  readonly hash: unknown
}

/** Applies the commands in such groups on a database of its own. */
export async function endOf({ schema, commands, sizes, restarts = false }: GroupedLog, options?: TestMachineOptions): Promise<End> {
  const world = new TestMachine(options)
  try {
    if (schema !== undefined) {
      await world.run(schema)
      await world.reopen()
    }
    const log = logOf(commands, world.machine.appliedIndex + 1)
    for (let at = 0, turn = 0; at < log.length; turn += 1) {
      const size = sizes[turn % sizes.length] ?? 1
      await world.apply(log.slice(at, at + size))
      at += size
      if (restarts) await world.reopen()
    }
    assert.deepEqual(world.fatal, [])
    assert.equal(world.machine.appliedIndex, log.at(-1)?.index)
    await world.machine.close()
    assert.deepEqual(world.rows('PRAGMA integrity_check'), [['ok']])
    return {
      results: log.map(({ index }) => world.results(index)),
      fingerprint: fingerprintDatabase(world.path),
      hash: world.rows('SELECT hex(state_hash), typeof(state_hash) FROM _securesql_state'),
    }
  } finally {
    await world.dispose()
  }
}

/** Such a machine as the contracts of the port want it. */
export function machineUnderTest(options: TestMachineOptions = {}): Promise<StateHashUnderTest> {
  const world = new TestMachine(options)
  return Promise.resolve({
    machine: world.machine,
    reopen: async () => {
      await world.reopen()
      return world.machine
    },
    dispose: async () => {
      assert.deepEqual(world.fatal, [])
      await world.dispose()
    },
    command: insert,
    otherCommand: (n) => insert(-n),
  })
}

export function withoutTime(result: StatementResult): unknown {
  const { seconds, ...rest } = result
  if (!(seconds >= 0)) throw new Error('a result says how long it took')
  return rest
}

export function written(lastInsertId: number | bigint, rowsAffected: number): unknown {
  return { kind: 'written', lastInsertId: BigInt(lastInsertId), rowsAffected }
}

export function failed(message: string): unknown {
  return { kind: 'error', message }
}
