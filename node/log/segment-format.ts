// The bytes of the log on disk. A segment is a header and then frames; a frame is what one fdatasync made durable: term and vote, and the entries in their own
// encoding (raft/entry.ts). The log only ever grows at its end: entries that replace others are simply written again later, so a truncation is ordered with the
// appends by where it stands (a truncation of the file that raced with an append is what lost data elsewhere).
// A frame names its log, segment, place and number, so a stale or misplaced one is never taken for valid; its checksum is seeded, so zeros never are.
import { crc32 } from 'node:zlib'
import { readUint53, writeUint53 } from '../raft/entry.ts'
import type { NodeId } from '../raft/membership.ts'
import type { HardState, LogBase } from '../raft/raft-port.ts'

/**
 * `persist`: from the core. `opened`, `closed`: written at start and at an orderly end; what stands before them is proven to have been synced. `compacted`: only moves
 * the base. `reset`: the log forgets all entries before this frame and begins anew after its base.
 */
export type FrameKind = 'persist' | 'opened' | 'closed' | 'compacted' | 'reset'

export interface Frame {
  readonly kind: FrameKind
  /** Of frames in the whole log, from 1, without a gap. */
  readonly number: number
  readonly hardState: HardState
  /** Of the log once this frame is durable: entries at or below it are no longer part of the log. Every frame says so, hence the newest one is enough. */
  readonly base: LogBase
  /** The oldest segment that is still needed once this frame is durable. A younger one that is missing is damage, an older one that is there only waits to be removed. */
  readonly firstSegment: number
  readonly entryCount: number
  /** Where the entries' records begin, counted from the start of the segment. */
  readonly entriesOffset: number
  /** One behind the last byte. */
  readonly end: number
}

export interface SegmentHeader {
  readonly segment: number
  readonly firstFrame: number
}

/** Random, made with the log and kept in the identity file: 16 bytes. */
export type LogId = Uint8Array

export const logIdBytes = 16
export const segmentHeaderBytes = 64
const frameHeaderBytes = 64
const segmentMagic = Buffer.from('SSQLLOG2', 'latin1')
const frameMagic = 0xd15cf4a3
const kinds: readonly FrameKind[] = ['persist', 'opened', 'closed', 'compacted', 'reset']

// Header: 8 bytes magic | u32 crc of what follows | u32 segment | 16 bytes log id | u64 first frame | 24 bytes zero.
export function encodeSegmentHeader(logId: LogId, header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes)
  const view = new DataView(bytes.buffer)
  bytes.set(segmentMagic)
  view.setUint32(12, header.segment)
  bytes.set(logId, 16)
  writeUint53(view, 32, header.firstFrame)
  view.setUint32(8, crc32(bytes.subarray(12)))
  return bytes
}

export type SegmentHeaderDefect = 'header_damaged' | 'another_log'

export function decodeSegmentHeader(bytes: Uint8Array, logId: LogId): SegmentHeader | SegmentHeaderDefect {
  if (bytes.length < segmentHeaderBytes) return 'header_damaged'
  const header = bytes.subarray(0, segmentHeaderBytes)
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  if (segmentMagic.compare(header, 0, 8) !== 0 || crc32(header.subarray(12)) !== view.getUint32(8)) return 'header_damaged'
  if (Buffer.compare(header.subarray(16, 32), logId) !== 0) return 'another_log'
  return { segment: view.getUint32(12), firstFrame: readUint53(view, 32) }
}

// Frame: u32 magic | u32 crc of what follows | u32 length of the whole | u32 segment | u64 number | u32 offset in the segment | u8 kind | u8 has a vote |
// u16 length of the vote | u64 term | u32 entries | u32 first segment | u64 base index | u64 base term | vote | entries.
export function encodeFrame(
  logId: LogId,
  frame: {
    readonly kind: FrameKind
    readonly segment: number
    readonly number: number
    readonly offset: number
    readonly hardState: HardState
    readonly base: LogBase
    readonly firstSegment: number
    readonly entryCount: number
    readonly entries: readonly Uint8Array[]
  },
): Uint8Array {
  const vote = Buffer.from(frame.hardState.votedFor ?? '', 'utf8')
  const entryBytes = frame.entries.reduce((sum, bytes) => sum + bytes.length, 0)
  const bytes = new Uint8Array(frameHeaderBytes + vote.length + entryBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, frameMagic)
  view.setUint32(8, bytes.length)
  view.setUint32(12, frame.segment)
  writeUint53(view, 16, frame.number)
  view.setUint32(24, frame.offset)
  view.setUint8(28, kinds.indexOf(frame.kind) + 1)
  view.setUint8(29, frame.hardState.votedFor === undefined ? 0 : 1)
  view.setUint16(30, vote.length)
  writeUint53(view, 32, frame.hardState.term)
  view.setUint32(40, frame.entryCount)
  view.setUint32(44, frame.firstSegment)
  writeUint53(view, 48, frame.base.index)
  writeUint53(view, 56, frame.base.term)
  bytes.set(vote, frameHeaderBytes)
  let at = frameHeaderBytes + vote.length
  for (const part of frame.entries) {
    bytes.set(part, at)
    at += part.length
  }
  view.setUint32(4, crc32(bytes.subarray(8), seedOf(logId)))
  return bytes
}

/** The length that a frame with these parts will have. */
export function frameLength(hardState: HardState, entryBytes: number): number {
  return frameHeaderBytes + Buffer.byteLength(hardState.votedFor ?? '', 'utf8') + entryBytes
}

/** The frame that begins at `offset` of a segment's bytes; undefined when what stands there is not a whole, valid frame of this place. */
export function decodeFrame(logId: LogId, segment: number, bytes: Uint8Array, offset: number): Frame | undefined {
  if (bytes.length - offset < frameHeaderBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, bytes.length - offset)
  const length = view.getUint32(8)
  const voteLength = view.getUint16(30)
  if (view.getUint32(0) !== frameMagic || length > view.byteLength || length < frameHeaderBytes + voteLength) return undefined
  if (view.getUint32(12) !== segment || view.getUint32(24) !== offset) return undefined
  if (crc32(bytes.subarray(offset + 8, offset + length), seedOf(logId)) !== view.getUint32(4)) return undefined
  const kind = kinds[view.getUint8(28) - 1]
  if (kind === undefined) return undefined
  const entriesOffset = offset + frameHeaderBytes + voteLength
  const vote = Buffer.from(bytes.subarray(offset + frameHeaderBytes, entriesOffset)).toString('utf8')
  return {
    kind,
    number: readUint53(view, 16),
    hardState: { term: readUint53(view, 32), votedFor: view.getUint8(29) === 0 ? undefined : (vote as NodeId) }, // written by ourselves, checksummed
    base: { index: readUint53(view, 48), term: readUint53(view, 56) },
    firstSegment: view.getUint32(44),
    entryCount: view.getUint32(40),
    entriesOffset,
    end: offset + length,
  }
}

/** The next valid frame that begins anywhere behind `offset`, whatever stands between. */
export function nextFrameBehind(logId: LogId, segment: number, bytes: Uint8Array, offset: number): Frame | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const magic = Buffer.alloc(4)
  magic.writeUint32BE(frameMagic)
  for (let at = buffer.indexOf(magic, offset + 1); at !== -1; at = buffer.indexOf(magic, at + 1)) {
    const frame = decodeFrame(logId, segment, bytes, at)
    if (frame !== undefined) return frame
  }
  return undefined
}

/** Whether a valid frame begins anywhere behind `offset`: then what is damaged at `offset` had been synced, because a frame is only written after the one before it was. */
export function hasFrameBehind(logId: LogId, segment: number, bytes: Uint8Array, offset: number): boolean {
  return nextFrameBehind(logId, segment, bytes, offset) !== undefined
}

/** Nothing but zeros from `offset` on: what was prepared and is not used yet. Zeros are never a frame, nor a part of one that was durable. */
export function isZeroFrom(bytes: Uint8Array, offset: number): boolean {
  for (let at = offset; at < bytes.length; at += 1) if (bytes[at] !== 0) return false
  return true
}

function seedOf(logId: LogId): number {
  return crc32(logId, frameMagic)
}

export function segmentName(segment: number): string {
  return `${String(segment).padStart(10, '0')}.segment`
}

/** Undefined: not a segment's name. */
export function segmentOfName(name: string): number | undefined {
  const digits = /^(\d{10})\.segment$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
