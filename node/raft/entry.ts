// A log entry and its one encoding: the same bytes go to the leader's disk, over the wire and to each follower's disk, so the checksum made by the leader
// is checked end to end. Indexes and terms are JavaScript numbers below 2^53, written as two 32-bit halves: `<<` would cut them to 32 bits.
import { crc32 } from 'node:zlib' // a pure function of its bytes: no clock, no I/O

/**
 * `command`: opaque to Raft. `noop`: a new leader's first entry (Raft §5.4.2, §8). `membership`: see membership.ts. `state-hash`: what every state machine must have
 * arrived at; opaque to Raft.
 */
export type EntryKind = 'command' | 'noop' | 'membership' | 'state-hash'

export interface Entry {
  /** 1-based. */
  readonly index: number
  readonly term: number
  readonly kind: EntryKind
  /** A view into `bytes`; never changed after the entry is made. */
  readonly payload: Uint8Array
  /** Header, checksum and payload as they stand on disk and on the wire. */
  readonly bytes: Uint8Array
}

export type EntryDefect = 'entry_cut' | 'entry_length' | 'entry_checksum' | 'entry_kind'

// Layout: u32 length of the whole record | u32 crc32 of all that follows | u8 kind | 3 bytes zero | u64 index | u64 term | payload. Big-endian.
export const entryHeaderBytes = 28
/** A record longer than this is refused before anything is allocated for it. */
export const entryBytesMax = 64 * 1024 * 1024
// Non-zero, so that a zero-filled region never carries a valid checksum.
const checksumSeed = 0x53514c31
const kinds: readonly EntryKind[] = ['command', 'noop', 'membership', 'state-hash']

export function makeEntry(fields: {
  readonly index: number
  readonly term: number
  readonly kind: EntryKind
  readonly payload: Uint8Array
}): Entry {
  const bytes = new Uint8Array(entryHeaderBytes + fields.payload.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length)
  view.setUint8(8, kinds.indexOf(fields.kind) + 1)
  writeUint53(view, 12, fields.index)
  writeUint53(view, 20, fields.term)
  bytes.set(fields.payload, entryHeaderBytes)
  view.setUint32(4, crc32(bytes.subarray(8), checksumSeed))
  return { index: fields.index, term: fields.term, kind: fields.kind, payload: bytes.subarray(entryHeaderBytes), bytes }
}

/**
 * Reads the record that starts at `offset`. `entry_cut`: the buffer ends before the record does. The bytes are copied when `buffer` may be reused by its owner;
 * callers that hand over a buffer for good pass `owned: true` and get views.
 */
export function readEntry(buffer: Uint8Array, offset: number, options: { readonly owned: boolean }): Entry | EntryDefect {
  if (buffer.length - offset < entryHeaderBytes) return 'entry_cut'
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  const length = view.getUint32(offset)
  if (length < entryHeaderBytes || length > entryBytesMax) return 'entry_length'
  if (buffer.length - offset < length) return 'entry_cut'
  const record = buffer.subarray(offset, offset + length)
  if (crc32(record.subarray(8), checksumSeed) !== view.getUint32(offset + 4)) return 'entry_checksum'
  const kind = kinds[view.getUint8(offset + 8) - 1]
  if (kind === undefined) return 'entry_kind'
  const bytes = options.owned ? record : record.slice()
  return {
    index: readUint53(view, offset + 12),
    term: readUint53(view, offset + 20),
    kind,
    payload: bytes.subarray(entryHeaderBytes),
    bytes,
  }
}

export function writeUint53(view: DataView, offset: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an unsigned 53-bit integer: ${value}`)
  view.setUint32(offset, Math.floor(value / 2 ** 32))
  view.setUint32(offset + 4, value >>> 0)
}

export function readUint53(view: DataView, offset: number): number {
  const value = view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4)
  if (!Number.isSafeInteger(value)) throw new RangeError('an integer of more than 53 bits')
  return value
}
