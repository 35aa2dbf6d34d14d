// The log as the core reads it: from memory when the entry is recent, else from its segment, in runs that lie side by side on disk.
import assert from 'node:assert/strict'
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { readEntry, type Entry } from '../raft/entry.ts'
import type { LogBase, LogReader } from '../raft/raft-port.ts'
import type { EntryIndex } from './entry-index.ts'
import type { OnFatal } from './fatal.ts'
import type { RecentEntries } from './recent-entries.ts'
import { segmentName } from './segment-format.ts'

export class SegmentLogReader implements LogReader {
  readonly #directory: string
  readonly #index: EntryIndex
  readonly #recent: RecentEntries
  readonly #onFatal: OnFatal
  readonly #descriptors = new Map<number, number>()

  constructor(directory: string, index: EntryIndex, recent: RecentEntries, onFatal: OnFatal) {
    this.#directory = directory
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
    for (const descriptor of this.#descriptors.values()) closeSync(descriptor)
    this.#descriptors.clear()
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
    let descriptor = this.#descriptors.get(segment)
    if (descriptor === undefined) {
      descriptor = openSync(join(this.#directory, segmentName(segment)), 'r')
      this.#descriptors.set(segment, descriptor)
    }
    const bytes = new Uint8Array(length)
    let read = 0
    while (read < length) {
      const count = readSync(descriptor, bytes, read, length - read, offset + read)
      if (count === 0) throw new Error('the segment is shorter than the log')
      read += count
    }
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
