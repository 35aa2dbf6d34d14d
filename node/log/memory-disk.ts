// The log's disk in memory, for tests and the simulator: knows what was synced, and what a power failure may do to the rest; fails, fills up, rots, slows down, and is
// put back to an older image when it is told to. Everything follows from its calls and seeds.
import { seededRandom } from '../raft/seeded-random.ts'
import type { LogDisk, LogFile } from './log-disk.ts'
import { MemoryFile } from './memory-file.ts'
import { PowerLost } from './power-lost.ts'

export type DiskCall = 'create' | 'write' | 'sync' | 'truncate' | 'remove' | 'sync-directory'

/** What would be found after an orderly end of the power: for `restore`. */
export interface DiskImage {
  readonly files: ReadonlyMap<string, Uint8Array>
}

type NameChange =
  | { readonly kind: 'create'; readonly name: string; readonly file: MemoryFile }
  | { readonly kind: 'remove'; readonly name: string }

export class MemoryDisk implements LogDisk {
  /** As the process sees it. */
  #files = new Map<string, MemoryFile>()
  /** Names on the platter: contents are the files' own affair. */
  #durableNames = new Map<string, MemoryFile>()
  /** Since the last sync of the directory, in order. */
  #nameChanges: NameChange[] = []
  #failing: { readonly call: DiskCall; readonly code: string } | undefined
  #areSyncsHeld = false
  #capacityBytes = Infinity
  #callsUntilPowerLoss = Infinity
  #latencyOf: (call: DiskCall, bytes: number) => number = () => 0
  #latencyMs = 0

  names(): readonly string[] {
    return [...this.#files.keys()].toSorted()
  }

  /** A copy of a whole file. */
  read(name: string): Uint8Array {
    return this.#fileNamed(name).content().slice()
  }

  create(name: string): LogFile {
    this.#enter('create', 0)
    if (this.#files.has(name)) throw diskError('EEXIST', 'open')
    const file = new MemoryFile()
    this.#files.set(name, file)
    this.#nameChanges.push({ kind: 'create', name, file })
    return this.#handle(file)
  }

  open(name: string): LogFile {
    return this.#handle(this.#fileNamed(name))
  }

  remove(name: string): void {
    this.#enter('remove', 0)
    this.#fileNamed(name)
    this.#files.delete(name)
    this.#nameChanges.push({ kind: 'remove', name })
  }

  syncDirectory(): void {
    this.#enter('sync-directory', 0)
    if (this.#areSyncsHeld) return
    this.#durableNames = new Map(this.#files)
    this.#nameChanges = []
  }

  /** A whole file as if it had always been there. */
  put(name: string, bytes: Uint8Array): void {
    const file = MemoryFile.of(bytes)
    this.#files.set(name, file)
    this.#durableNames.set(name, file)
  }

  /** With everything that was written, synced or not, as durable. */
  copy(): MemoryDisk {
    const copy = new MemoryDisk()
    for (const [name, file] of this.#files) copy.put(name, file.content())
    return copy
  }

  /** Once, at the next such call. A failed sync loses what it should have made durable, and the one after it succeeds without it. */
  failNext(call: DiskCall, code: 'EIO' | 'ENOSPC' = 'EIO'): void {
    this.#failing = { call, code }
  }

  /** A disk that lies: from now on nothing becomes durable, whatever sync says; until the power fails. */
  holdSyncs(): void {
    this.#areSyncsHeld = true
  }

  /** Writes beyond it are cut short and fail with ENOSPC. */
  limit(capacityBytes: number): void {
    this.#capacityBytes = capacityBytes
  }

  usedBytes(): number {
    let sum = 0
    for (const file of this.#files.values()) sum += file.length
    return sum
  }

  /** The power goes at the n-th call from now on (1: the next one), which is not made any more; and every later one throws PowerLost until powerFailure(). */
  losePowerAfter(calls: number): void {
    this.#callsUntilPowerLoss = calls
  }

  get hasPower(): boolean {
    return this.#callsUntilPowerLoss > 0
  }

  /** How long each call takes; see takeLatencyMs. */
  slow(latencyOf: (call: DiskCall, bytes: number) => number): void {
    this.#latencyOf = latencyOf
  }

  /** What the calls since the last question took together, for whoever moves the virtual clock: the calls themselves return at once. */
  takeLatencyMs(): number {
    const latencyMs = this.#latencyMs
    this.#latencyMs = 0
    return latencyMs
  }

  /**
   * Power goes and comes back: what was synced stays. Of the rest any subset of sectors reached the disk, the length of a file is any between, and of the names that were
   * made or removed since the directory was synced any subset was. Files that are open belong to the dead and must not be used.
   */
  powerFailure(seed: number): void {
    const random = seededRandom(seed)
    const names = new Map(this.#durableNames)
    for (const change of this.#nameChanges) {
      if (random(2) === 0) continue
      if (change.kind === 'create') names.set(change.name, change.file)
      else names.delete(change.name)
    }
    this.#startWith([...names].map(([name, file]) => [name, file.losePower(random)]))
  }

  image(): DiskImage {
    return { files: new Map([...this.#durableNames].map(([name, file]) => [name, file.platter().content().slice()])) }
  }

  /** Put back in time (a volume's snapshot); the node must be down. */
  restore(image: DiskImage): void {
    this.#startWith([...image.files].map(([name, bytes]) => [name, MemoryFile.of(bytes)]))
  }

  wipe(): void {
    this.#startWith([])
  }

  /** Flips bits of one byte, as if it had rotted; everywhere in the process's view and on the platter. */
  flip(name: string, position: number, mask = 0x10): void {
    this.#fileNamed(name).flip(position, mask)
  }

  #startWith(files: readonly (readonly [string, MemoryFile])[]): void {
    this.#files = new Map(files)
    this.#durableNames = new Map(files)
    this.#nameChanges = []
    this.#failing = undefined
    this.#areSyncsHeld = false
    this.#callsUntilPowerLoss = Infinity
  }

  #handle(file: MemoryFile): LogFile {
    return {
      size: () => file.length,
      read: (into, position) => {
        if (!this.hasPower) throw new PowerLost()
        if (position + into.length > file.length) throw new Error('the file is shorter than what should stand in it')
        into.set(file.content().subarray(position, position + into.length))
      },
      write: (bytes, position) => {
        this.#enter('write', bytes.length)
        const room = this.#capacityBytes - this.usedBytes() + file.length - position
        file.write(room < bytes.length ? bytes.subarray(0, Math.max(0, room)) : bytes, position)
        if (room < bytes.length) throw diskError('ENOSPC', 'write')
      },
      sync: () => {
        this.#enter('sync', 0, () => file.failSync())
        if (!this.#areSyncsHeld) file.sync()
      },
      truncate: (length) => {
        this.#enter('truncate', 0)
        file.truncate(length)
        file.sync()
      },
      close: () => {},
    }
  }

  #fileNamed(name: string): MemoryFile {
    if (!this.hasPower) throw new PowerLost()
    const file = this.#files.get(name)
    if (file === undefined) throw diskError('ENOENT', 'open')
    return file
  }

  #enter(call: DiskCall, bytes: number, onFailure?: () => void): void {
    this.#callsUntilPowerLoss = Math.max(0, this.#callsUntilPowerLoss - 1)
    if (!this.hasPower) throw new PowerLost()
    this.#latencyMs += this.#latencyOf(call, bytes)
    if (this.#failing?.call !== call) return
    const { code } = this.#failing
    this.#failing = undefined
    onFailure?.()
    throw diskError(code, call === 'sync' ? 'fdatasync' : call)
  }
}

/** As the operating system's come from node:fs. */
function diskError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall })
}
