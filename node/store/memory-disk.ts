// The log's disk in memory, for tests and the simulator: knows what was synced, and what a power failure may do to the rest.
import { seededRandom } from '../raft/seeded-random.ts'
import type { LogDisk, LogFile } from './log-disk.ts'

/** The unit that a disk writes as a whole. */
const sectorBytes = 512

export class MemoryDisk implements LogDisk {
  readonly #files = new Map<string, Uint8Array>()
  readonly #synced = new Map<string, Uint8Array>()
  #failing: 'write' | 'sync' | undefined
  #areSyncsHeld = false

  names(): readonly string[] {
    return [...this.#files.keys()].toSorted()
  }

  read(name: string): Uint8Array {
    const bytes = this.#files.get(name)
    if (bytes === undefined) throw new Error(`ENOENT: ${name}`)
    return bytes.slice()
  }

  create(name: string): LogFile {
    if (this.#files.has(name)) throw new Error(`EEXIST: ${name}`)
    this.#files.set(name, new Uint8Array())
    return this.#file(name)
  }

  open(name: string): LogFile {
    this.read(name)
    return this.#file(name)
  }

  remove(name: string): void {
    this.#files.delete(name)
    this.#synced.delete(name)
  }

  syncDirectory(): void {
    for (const name of this.#files.keys()) if (!this.#synced.has(name)) this.#synced.set(name, new Uint8Array())
  }

  /** A whole file as if it had always been there. */
  put(name: string, bytes: Uint8Array): void {
    this.#files.set(name, Uint8Array.from(bytes))
    this.#synced.set(name, Uint8Array.from(bytes))
  }

  copy(): MemoryDisk {
    const copy = new MemoryDisk()
    for (const [name, bytes] of this.#files) copy.put(name, bytes)
    return copy
  }

  failNext(call: 'write' | 'sync'): void {
    this.#failing = call
  }

  /** From now on nothing that is written becomes durable, whatever sync says. */
  holdSyncs(): void {
    this.#areSyncsHeld = true
  }

  /** What was synced stays; of the rest any subset of sectors reached the disk, and the length any value between. */
  powerFailure(seed: number): void {
    const random = seededRandom(seed)
    for (const [name, bytes] of this.#files) {
      const synced = this.#synced.get(name)
      if (synced === undefined) {
        this.#files.delete(name)
        continue
      }
      const length = synced.length + random(bytes.length - synced.length + 1)
      const after = new Uint8Array(length)
      after.set(synced.subarray(0, length))
      for (let at = 0; at < length; at += sectorBytes) {
        if (random(2) === 0) after.set(bytes.subarray(at, Math.min(at + sectorBytes, length)), at)
      }
      this.put(name, after)
    }
  }

  #file(name: string): LogFile {
    return {
      write: (bytes, position) => {
        this.#failWhen('write')
        const before = this.read(name)
        const after = new Uint8Array(Math.max(before.length, position + bytes.length))
        after.set(before)
        after.set(bytes, position)
        this.#files.set(name, after)
      },
      sync: () => {
        this.#failWhen('sync')
        if (!this.#areSyncsHeld) this.#synced.set(name, this.read(name))
      },
      truncate: (length) => {
        this.put(name, this.read(name).subarray(0, length))
      },
      close: () => {},
    }
  }

  #failWhen(call: 'write' | 'sync'): void {
    if (this.#failing !== call) return
    this.#failing = undefined
    throw new Error('EIO: i/o error')
  }
}
