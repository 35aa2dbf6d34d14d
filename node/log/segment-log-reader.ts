// The log as the core reads it: from memory when the entry is recent, else from its segment, in runs that lie side by side on disk.
import assert from 'node:assert/strict'
import { readEntry, type Entry } from '../raft/entry.ts'
import type { LogBase, LogReader } from '../raft/raft-port.ts'
import type { EntryIndex } from './entry-index.ts'
import type { OnFatal } from '../store/fatal.ts'
import type { LogDisk, LogFile } from './log-disk.ts'
import type { RecentEntries } from './recent-entries.ts'
import { segmentName } from './segment-format.ts'

export class SegmentLogReader implements LogReader {
  readonly #disk: LogDisk
  readonly #index: EntryIndex
  readonly #recent: RecentEntries
  readonly #onFatal: OnFatal
  readonly #files = new Map<number, LogFile>()

  constructor(disk: LogDisk, index: EntryIndex, recent: RecentEntries, onFatal: OnFatal) {
    this.#disk = disk
    this.#index = index
    this.#recent = recent
    this.#onFatal = onFatal
  }

  get base(): LogBase {
    return this.#index.base
  }

  lastIndex(): number {
    return this.#index.last
  }

  termAt(index: number): number {
    return this.#index.termAt(index)
  }

  read(range: { readonly from: number; readonly to: number; readonly bytesMax: number }): readonly Entry[] {
    assert(range.from > this.#index.base.index && range.to <= this.#index.last, 'the range lies within the log')
    const to = this.#cut(range)
    const entries: Entry[] = []
    for (let index = range.from; index <= to; index = (entries.at(-1)?.index ?? index) + 1) {
      const recent = this.#recent.at(index)
      if (recent === undefined) entries.push(...this.#readRun(index, to))
      else entries.push(recent)
    }
    return entries
  }

  close(): void {
    this.forgetSegmentsBefore(Infinity)
  }

  /** Closes their files: as long as one is open, a removed segment takes its room on the disk. */
  forgetSegmentsBefore(first: number): void {
    for (const [segment, file] of this.#files) {
      if (segment >= first) continue
      file.close()
      this.#files.delete(segment)
    }
  }

  /** The last index that still fits; the first one always does. */
  #cut(range: { readonly from: number; readonly to: number; readonly bytesMax: number }): number {
    let bytes = 0
    for (let index = range.from; index <= range.to; index += 1) {
      bytes += this.#index.lengthAt(index)
      if (bytes > range.bytesMax && index > range.from) return index - 1
    }
    return range.to
  }

  #readRun(from: number, to: number): readonly Entry[] {
    const start = this.#index.placeAt(from)
    assert(start !== undefined, 'an entry that is not in memory is on disk')
    let length = this.#index.lengthAt(from)
    let last = from
    while (last < to) {
      const next = this.#index.placeAt(last + 1)
      if (next?.segment !== start.segment || next.offset !== start.offset + length) break
      length += this.#index.lengthAt(last + 1)
      last += 1
    }
    try {
      return this.#parse(from, last, this.#readBytes(start.segment, start.offset, length))
    } catch (cause) {
      this.#onFatal({ code: 'log_read_failed', message: `entries ${from} to ${last} in ${segmentName(start.segment)}`, cause })
      throw cause
    }
  }

  #readBytes(segment: number, offset: number, length: number): Uint8Array {
    let file = this.#files.get(segment)
    if (file === undefined) {
      file = this.#disk.open(segmentName(segment))
      this.#files.set(segment, file)
    }
    const bytes = new Uint8Array(length)
    file.read(bytes, offset)
    return bytes
  }

  #parse(from: number, to: number, bytes: Uint8Array): readonly Entry[] {
    const entries: Entry[] = []
    let at = 0
    for (let index = from; index <= to; index += 1) {
      const entry = readEntry(bytes, at, { owned: true })
      if (typeof entry === 'string') throw new Error(`entry ${index} cannot be read: ${entry}`)
      if (entry.index !== index || entry.term !== this.#index.termAt(index)) throw new Error(`entry ${index} is not where it was written`)
      entries.push(entry)
      at += entry.bytes.length
    }
    return entries
  }
}
