// The clients' operations as SQL: what they send, and how answers are read. PURE but for the reads, which ask a connection.
import type Database from 'better-sqlite3'
import { encodeCommand } from '../command/command-codec.ts'
import type { CommandOutcome } from '../command/command.ts'
import { seedBytes } from '../command/entry-moment.ts'
import { openingBalance, accountCount, type Operation, type ReadAnswer, type WriteAnswer, type WriteOperation } from './operation.ts'

type Statement = readonly [sql: string, ...values: readonly number[]]

const schema: readonly Statement[] = [
  ['CREATE TABLE IF NOT EXISTS registers (key INTEGER PRIMARY KEY, value INTEGER NOT NULL)'],
  ['CREATE TABLE IF NOT EXISTS lists (id INTEGER PRIMARY KEY, key INTEGER NOT NULL, value INTEGER NOT NULL)'],
  ['CREATE TABLE IF NOT EXISTS accounts (key INTEGER PRIMARY KEY, balance INTEGER NOT NULL)'],
  ['CREATE TABLE IF NOT EXISTS counters (key INTEGER PRIMARY KEY, value INTEGER NOT NULL)'],
  ['CREATE TABLE IF NOT EXISTS done (value INTEGER PRIMARY KEY)'],
]

/** One transaction; what it needs is made with it. */
export function commandOf(operation: WriteOperation): Uint8Array {
  const statements = [...schema, ...statementsOf(operation)]
  return encodeCommand({
    kind: 'execute',
    transaction: true,
    proposedAtMs: 0,
    seed: new Uint8Array(seedBytes),
    statements: statements.map(([sql, ...values]) => ({ sql, parameters: { kind: 'positional', values: values.map(BigInt) } })),
  })
}

function statementsOf(operation: WriteOperation): readonly Statement[] {
  switch (operation.kind) {
    case 'write':
      return [
        ['INSERT INTO registers VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value', operation.key, operation.value],
      ]
    case 'cas':
      return [
        ['INSERT OR IGNORE INTO registers VALUES (?, 0)', operation.key],
        ['UPDATE registers SET value = ? WHERE key = ? AND value = ?', operation.value, operation.key, operation.expected],
      ]
    case 'append':
      return [['INSERT INTO lists (key, value) VALUES (?, ?)', operation.key, operation.value]]
    case 'transfer':
      return [
        ['INSERT OR IGNORE INTO accounts VALUES (?, ?), (?, ?)', operation.from, openingBalance, operation.to, openingBalance],
        ['UPDATE accounts SET balance = balance - ? WHERE key = ?', operation.amount, operation.from],
        ['UPDATE accounts SET balance = balance + ? WHERE key = ?', operation.amount, operation.to],
      ]
    case 'increment':
      return [
        // Done before: this fails, and takes the rest of the transaction with it.
        ['INSERT INTO done VALUES (?)', operation.value],
        ['INSERT OR IGNORE INTO counters VALUES (?, 0)', operation.key],
        ['UPDATE counters SET value = value + ? WHERE key = ?', operation.by, operation.key],
      ]
  }
}

/** What the last statement did; an increment that was done before is done. */
export function answerOf(outcome: unknown): WriteAnswer {
  const { results } = outcome as CommandOutcome // of a command of ours
  const last = results.at(-1)
  if (last?.kind === 'error') return { done: last.message.includes('UNIQUE constraint failed: done.value') }
  return { done: last?.kind === 'written' && last.rowsAffected > 0 }
}

export function readFrom(database: Database.Database, operation: Extract<Operation, { kind: 'read' }>): ReadAnswer {
  if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'done'").get() === undefined) return emptyAnswer(operation)
  switch (operation.of) {
    case 'register':
      return [numberAt(database, 'SELECT value FROM registers WHERE key = ?', operation.key) ?? 0]
    case 'list':
      return numbersOf(database.prepare('SELECT value FROM lists WHERE key = ? ORDER BY id').pluck().all(operation.key))
    case 'accounts':
      return Array.from(
        { length: accountCount },
        (_, key) => numberAt(database, 'SELECT balance FROM accounts WHERE key = ?', key) ?? openingBalance,
      )
    case 'counter':
      return [numberAt(database, 'SELECT value FROM counters WHERE key = ?', operation.key) ?? 0]
  }
}

export function auditOf(database: Database.Database): {
  readonly counters: ReadonlyMap<number, number>
  readonly done: ReadonlySet<number>
} {
  const counters = database.prepare('SELECT key, value FROM counters').raw().all() as [number, number][] // two columns of integers
  return { counters: new Map(counters), done: new Set(numbersOf(database.prepare('SELECT value FROM done').pluck().all())) }
}

export function digestOf(database: Database.Database): string {
  const tables = ['registers', 'lists', 'accounts', 'counters', 'done']
  return JSON.stringify(tables.map((table) => database.prepare(`SELECT * FROM ${table} ORDER BY 1`).raw().all()))
}

function emptyAnswer({ of }: Extract<Operation, { kind: 'read' }>): ReadAnswer {
  if (of === 'list') return []
  return of === 'accounts' ? Array.from({ length: accountCount }, () => openingBalance) : [0]
}

function numberAt(database: Database.Database, sql: string, key: number): number | undefined {
  const value: unknown = database.prepare(sql).pluck().get(key)
  return typeof value === 'number' ? value : undefined
}

function numbersOf(values: readonly unknown[]): readonly number[] {
  return values.map(Number)
}
