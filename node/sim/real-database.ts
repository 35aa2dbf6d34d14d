// SQLite in the simulator: the production's state machine, everything in the calls themselves, on files in memory where the system has such a place. A process that is
// killed leaves the files as they are; a power failure cuts the write-ahead log anywhere behind what was synced, which loses whole transactions.
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Membership } from '../raft/membership.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import { SqliteStateMachine } from '../store/sqlite-state-machine.ts'
import type { Chance } from './chance.ts'
import type { WriteOperation } from './operation.ts'
import { RealMachine } from './real-machine.ts'
import type { SimDatabase, SimMachine, SimMachinePorts } from './sim-machine.ts'
import { commandOf } from './sql-operations.ts'

interface Files {
  readonly data: Buffer
  readonly wal: Buffer
  readonly index: number
  readonly membership: Membership | undefined
}

export class RealDatabase implements SimDatabase {
  readonly #chance: Chance
  #directory = newDirectory()
  #machine: SqliteStateMachine | undefined
  durableIndex = 0
  durableMembership: Membership | undefined
  /** Of the write-ahead log. */
  #syncedBytes = 0
  #ports: SimMachinePorts | undefined

  constructor(chance: Chance) {
    this.#chance = chance
    writeFileSync(this.path, '')
  }

  get path(): string {
    return join(this.#directory, 'db.sqlite')
  }

  /** Opened when it is first needed, and open until the process ends. */
  get machine(): SqliteStateMachine {
    if (this.#machine !== undefined) return this.#machine
    this.#machine = new SqliteStateMachine(openConnection(this.path), {
      onFatal: (problem) => assert.fail(`the database ends the process: ${problem.code} ${problem.message}`),
      readFreeBytes: () => Number.MAX_SAFE_INTEGER,
      elsewhere: 'nowhere',
    })
    return this.#machine
  }

  get appliedIndex(): number {
    return this.machine.appliedIndex
  }

  get appliedTerm(): number {
    return this.machine.appliedTerm
  }

  open(ports: SimMachinePorts): SimMachine {
    this.#ports = ports
    return new RealMachine(this, ports)
  }

  encode(operation: WriteOperation): Uint8Array {
    return commandOf(operation)
  }

  makeDurable(): number {
    this.durableIndex = this.machine.appliedIndex
    this.durableMembership = this.machine.membership
    this.#syncedBytes = this.#walBytes()
    return this.durableIndex
  }

  crash(how: 'process' | 'power'): void {
    const left = newDirectory()
    for (const name of ['db.sqlite', 'db.sqlite-wal'])
      if (existsSync(join(this.#directory, name))) cpSync(join(this.#directory, name), join(left, name))
    if (how === 'power') this.#losePower(join(left, 'db.sqlite-wal'))
    this.#close()
    this.#directory = left
  }

  dispose(): void {
    this.#close()
  }

  copy(): { readonly point: SnapshotPoint; readonly bytes: Uint8Array } | undefined {
    const { membership, appliedIndex: index, appliedTerm: term } = this.machine
    if (membership === undefined) return undefined
    const reader = new Database(this.path, { readonly: true })
    const bytes = reader.serialize()
    reader.close()
    return { point: { index, term, membership }, bytes }
  }

  pointIn(bytes: Uint8Array): SnapshotPoint | undefined {
    const directory = newDirectory()
    const path = join(directory, 'copy.sqlite')
    writeFileSync(path, bytes)
    try {
      const connection = openConnection(path)
      const {
        appliedIndex: index,
        appliedTerm: term,
        membership,
      } = new SqliteStateMachine(connection, { onFatal: () => {}, elsewhere: 'nowhere' })
      connection.close()
      return membership === undefined ? undefined : { index, term, membership }
    } catch (error) {
      // SQLite's refusal of a damaged file.
      if (!(error instanceof Database.SqliteError)) throw error
      return undefined
    } finally {
      rmSync(directory, { recursive: true })
    }
  }

  replace(bytes: Uint8Array): void {
    this.machine.suspend()
    for (const end of ['-wal', '-shm']) rmSync(`${this.path}${end}`, { force: true })
    writeFileSync(this.path, bytes)
    this.machine.resume()
    this.makeDurable()
    this.#ports?.onReplaced(this.machine.appliedIndex, 0)
  }

  image(): Files {
    return {
      data: readFileSync(this.path),
      wal: this.#wal().subarray(0, this.#syncedBytes),
      index: this.durableIndex,
      membership: this.durableMembership,
    }
  }

  putBack(image: unknown): void {
    const { data, wal, index, membership } = image as Files // made by image()
    this.#close()
    this.#directory = newDirectory()
    writeFileSync(this.path, data)
    if (wal.length > 0) writeFileSync(`${this.path}-wal`, wal)
    this.#syncedBytes = wal.length
    this.durableIndex = index
    this.durableMembership = membership
  }

  diverge(): boolean {
    return false
  }

  #losePower(walPath: string): void {
    if (!existsSync(walPath)) return
    const { size } = statSync(walPath)
    truncateSync(walPath, this.#syncedBytes + this.#chance.below(size - this.#syncedBytes + 1))
    this.#syncedBytes = statSync(walPath).size
  }

  #close(): void {
    // It has no threads, so it closes its files in its own time; they are gone for everybody else at once.
    void this.#machine?.close()
    this.#machine = undefined
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #wal(): Buffer {
    return existsSync(`${this.path}-wal`) ? readFileSync(`${this.path}-wal`) : Buffer.alloc(0)
  }

  #walBytes(): number {
    return statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }
}

/** Of the settings of store/write-connection.ts those that decide what a crash leaves. */
function openConnection(path: string): Database.Database {
  const database = new Database(path, { fileMustExist: true })
  for (const setting of ['journal_mode = WAL', 'synchronous = NORMAL', 'wal_autocheckpoint = 0']) database.pragma(setting)
  return database
}

const memoryPlace = '/dev/shm'

function newDirectory(): string {
  return mkdtempSync(join(existsSync(memoryPlace) ? memoryPlace : tmpdir(), 'sim-'))
}
