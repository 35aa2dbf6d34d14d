// The bytes of one file on the disk in memory: what the process sees, and for each sector that was written since the last sync what is still on the platter.
import type { seededRandom } from '../raft/seeded-random.ts'

/** The unit that a disk writes as a whole. */
const sectorBytes = 512

type Random = ReturnType<typeof seededRandom>

const emptySector = new Uint8Array(sectorBytes)

export class MemoryFile {
  #bytes = new Uint8Array(sectorBytes)
  #length = 0
  #syncedLength = 0
  /** By number of the sector: what the platter holds of those that were written since. */
  #unsynced = new Map<number, Uint8Array>()
  /** Lost by a sync that failed: the pages count as clean, so later syncs do not write them (what Linux does after EIO), and the process sees them until the power goes. */
  #dropped = new Map<number, Uint8Array>()

  static of(content: Uint8Array): MemoryFile {
    const file = new MemoryFile()
    file.#bytes = new Uint8Array(roundUp(content.length))
    file.#bytes.set(content)
    file.#length = content.length
    file.#syncedLength = content.length
    return file
  }

  get length(): number {
    return this.#length
  }

  /** A view; valid until the next write. */
  content(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    // Room for whole sectors, by doubling: a log is written at its end, a million times.
    if (roundUp(end) > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(roundUp(end), this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    for (let sector = Math.floor(position / sectorBytes); sector * sectorBytes < end; sector += 1) this.#keepPlatter(sector)
    this.#bytes.set(bytes, position)
    this.#length = Math.max(this.#length, end)
  }

  sync(): void {
    this.#unsynced.clear()
    this.#syncedLength = this.#length
  }

  /** EIO: what was to be written is not, and never will be unless it is written again. */
  failSync(): void {
    for (const [sector, platter] of this.#unsynced) this.#dropped.set(sector, platter)
    this.#unsynced.clear()
  }

  truncate(length: number): void {
    this.#bytes.fill(0, length, this.#length)
    this.#length = length
    for (const sectors of [this.#unsynced, this.#dropped]) {
      for (const sector of sectors.keys()) if (sector * sectorBytes >= length) sectors.delete(sector)
    }
    this.#syncedLength = Math.min(this.#syncedLength, length)
  }

  /** Of every sector that is not certain either the new or the old content, in any combination, and any length between the old and the new. */
  losePower(random: Random): MemoryFile {
    const length = this.#syncedLength + random(this.#length - this.#syncedLength + 1)
    const after = MemoryFile.of(this.#bytes.subarray(0, this.#length))
    for (const [sector, platter] of this.#dropped) after.#restore(sector, platter)
    for (const [sector, platter] of this.#unsynced) if (random(2) === 0) after.#restore(sector, platter)
    after.truncate(length)
    after.sync()
    return after
  }

  /** As if the power had gone and nothing that was not synced had reached the platter. */
  platter(): MemoryFile {
    const after = MemoryFile.of(this.#bytes.subarray(0, this.#length))
    for (const sectors of [this.#dropped, this.#unsynced]) for (const [sector, platter] of sectors) after.#restore(sector, platter)
    after.truncate(this.#syncedLength)
    return after
  }

  flip(position: number, mask: number): void {
    this.#bytes[position] = (this.#bytes[position] ?? 0) ^ mask
  }

  #keepPlatter(sector: number): void {
    if (this.#unsynced.has(sector)) return
    // Written again, a dropped sector has its chance again.
    const dropped = this.#dropped.get(sector)
    this.#dropped.delete(sector)
    const at = sector * sectorBytes
    this.#unsynced.set(sector, dropped ?? (at >= this.#length ? emptySector : this.#bytes.slice(at, at + sectorBytes)))
  }

  #restore(sector: number, platter: Uint8Array): void {
    this.#bytes.set(platter, sector * sectorBytes)
  }
}

function roundUp(length: number): number {
  return Math.max(1, Math.ceil(length / sectorBytes)) * sectorBytes
}
