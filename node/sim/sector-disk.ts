// The log's disk in the simulator. Files grow in memory; what was not synced is known sector by sector, so that a power failure keeps any part of it; names are
// durable only when the directory was synced; and the disk can refuse, fill up, rot, be put back in time and stop in the middle of any call.
import type { LogDisk, LogFile } from '../store/log-disk.ts'
import type { Chance } from './chance.ts'
import { ProcessEnded } from './violation.ts'

/** Thrown where a real disk's call would fail. */
export class DiskRefused extends Error {
  override readonly name = 'DiskRefused'
}

/** The unit that a disk writes as a whole. */
const sectorBytes = 512

interface VirtualFile {
  bytes: Uint8Array
  length: number
  syncedLength: number
  isNameDurable: boolean
  /** Sector number to its bytes as of the last sync. */
  readonly dirty: Map<number, Uint8Array>
}

/** What a disk holds that has been synced, to be put back later. */
export type DiskImage = ReadonlyMap<string, Uint8Array>

export class SectorDisk implements LogDisk {
  readonly #files = new Map<string, VirtualFile>()
  // Removed, but the directory was not synced since: a power failure may bring them back.
  readonly #removed = new Map<string, VirtualFile>()
  readonly #chance: Chance
  #failing: 'write' | 'sync' | undefined
  #endsAfter: number | undefined
  isFull = false
  refusals = 0
  syncs = 0

  constructor(chance: Chance) {
    this.#chance = chance
  }

  names(): readonly string[] {
    return Array.from(this.#files.keys()).toSorted()
  }

  read(name: string): Uint8Array {
    const file = this.#at(name)
    return file.bytes.slice(0, file.length)
  }

  create(name: string): LogFile {
    this.#step()
    if (this.#files.has(name)) throw new Error(`EEXIST: ${name}`)
    this.#files.set(name, { bytes: new Uint8Array(4096), length: 0, syncedLength: 0, isNameDurable: false, dirty: new Map() })
    return this.#open(name)
  }

  open(name: string): LogFile {
    this.#at(name)
    return this.#open(name)
  }

  remove(name: string): void {
    this.#step()
    const file = this.#files.get(name)
    if (file?.isNameDurable === true) this.#removed.set(name, file)
    this.#files.delete(name)
  }

  syncDirectory(): void {
    this.#step()
    for (const file of this.#files.values()) file.isNameDurable = true
    this.#removed.clear()
  }

  failNext(call: 'write' | 'sync'): void {
    this.#failing = call
  }

  /** The process ends in the middle of the call after so many more. */
  endAfter(calls: number): void {
    this.#endsAfter = calls
  }

  endNever(): void {
    this.#endsAfter = undefined
    this.#failing = undefined
  }

  /** What was synced stays; of the rest any subset of sectors reached the disk, and the length any value between; names that were not synced may be gone or back. */
  losePower(): void {
    for (const [name, file] of this.#removed) if (!this.#files.has(name) && this.#chance.happens(0.5)) this.#files.set(name, file)
    this.#removed.clear()
    for (const [name, file] of this.#files) {
      if (!file.isNameDurable && this.#chance.happens(0.5)) {
        this.#files.delete(name)
        continue
      }
      this.#loseSectors(file)
      file.isNameDurable = true
    }
  }

  /** A copy of what is synced now. */
  image(): DiskImage {
    const image = new Map<string, Uint8Array>()
    for (const [name, file] of this.#files) {
      if (!file.isNameDurable) continue
      const bytes = file.bytes.slice(0, file.syncedLength)
      for (const [sector, before] of file.dirty) bytes.set(before.subarray(0, Math.max(0, bytes.length - sector * sectorBytes)), sector * sectorBytes)
      image.set(name, bytes)
    }
    return image
  }

  /** The disk as it was: a volume restored from an old copy. */
  putBack(image: DiskImage): void {
    this.#files.clear()
    this.#removed.clear()
    for (const [name, bytes] of image)
      this.#files.set(name, { bytes: bytes.slice(), length: bytes.length, syncedLength: bytes.length, isNameDurable: true, dirty: new Map() })
  }

  wipe(): void {
    this.putBack(new Map())
  }

  /** Flips one bit of what is synced, at or behind byte `from` of a file; false when there is nothing there. */
  rot(name: string, from: number, to: number): boolean {
    const file = this.#files.get(name)
    const end = Math.min(to, file?.syncedLength ?? 0)
    if (file === undefined || end <= from) return false
    const at = from + this.#chance.below(end - from)
    file.bytes[at] = (file.bytes[at] ?? 0) ^ (1 << this.#chance.below(8))
    return true
  }

  lengthOf(name: string): number {
    return this.#files.get(name)?.length ?? 0
  }

  #loseSectors(file: VirtualFile): void {
    const length = file.syncedLength + this.#chance.below(Math.max(0, file.length - file.syncedLength) + 1)
    for (const [sector, before] of file.dirty) if (this.#chance.happens(0.5)) file.bytes.set(before, sector * sectorBytes)
    file.dirty.clear()
    file.bytes.fill(0, length, file.length)
    file.length = length
    file.syncedLength = length
  }

  #open(name: string): LogFile {
    return {
      write: (bytes, position) => this.#write(this.#at(name), bytes, position),
      sync: () => this.#sync(this.#at(name)),
      truncate: (length) => this.#truncate(this.#at(name), length),
      close: () => {},
    }
  }

  #write(file: VirtualFile, bytes: Uint8Array, position: number): void {
    if (this.#failing === 'write') this.#refuse('EIO: i/o error, write')
    if (this.isFull && position + bytes.length > file.length) {
      // Some of it fits, as on a real disk that fills up in the middle of a write.
      this.#put(file, bytes.subarray(0, this.#chance.below(bytes.length)), position)
      this.#refuse('ENOSPC: no space left on device, write')
    }
    const isLast = this.#endsAfter === 0
    this.#put(file, isLast ? bytes.subarray(0, this.#chance.below(bytes.length + 1)) : bytes, position)
    this.#step()
  }

  #sync(file: VirtualFile): void {
    this.#step()
    if (this.#failing === 'sync') {
      // The pages are marked clean although they never reached the disk: what a second sync would call a success is lost.
      this.#loseSectors(file)
      this.#refuse('EIO: i/o error, fdatasync')
    }
    this.syncs += 1
    file.dirty.clear()
    file.syncedLength = file.length
  }

  // Truncation is not ordered with anything until it is synced; the production code cuts only what no sync has covered.
  #truncate(file: VirtualFile, length: number): void {
    this.#step()
    file.bytes.fill(0, length, file.length)
    file.length = length
    file.syncedLength = Math.min(file.syncedLength, length)
    for (const sector of Array.from(file.dirty.keys())) if (sector * sectorBytes >= length) file.dirty.delete(sector)
  }

  #put(file: VirtualFile, bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    if (end > file.bytes.length) {
      const grown = new Uint8Array(Math.ceil(Math.max(end, file.bytes.length * 2) / sectorBytes) * sectorBytes)
      grown.set(file.bytes)
      file.bytes = grown
    }
    for (let sector = Math.floor(position / sectorBytes); sector * sectorBytes < end; sector += 1) {
      if (file.dirty.has(sector)) continue
      const before = new Uint8Array(sectorBytes)
      before.set(file.bytes.subarray(sector * sectorBytes, (sector + 1) * sectorBytes))
      file.dirty.set(sector, before)
    }
    file.bytes.set(bytes, position)
    file.length = Math.max(file.length, end)
  }

  #step(): void {
    if (this.#endsAfter === undefined) return
    if (this.#endsAfter === 0) throw new ProcessEnded('in the middle of a call to the disk')
    this.#endsAfter -= 1
  }

  #refuse(message: string): never {
    this.#failing = undefined
    this.refusals += 1
    throw new DiskRefused(message)
  }

  #at(name: string): VirtualFile {
    const file = this.#files.get(name)
    if (file === undefined) throw new Error(`ENOENT: ${name}`)
    return file
  }
}
