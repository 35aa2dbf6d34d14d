// What is said on a connection that carries snapshots: a question ("take" or "read"), one answer, the next question. A manifest is JSON, read by a schema that knows every
// key. A chunk carries a CRC-32 over the copy's id, the offset and the bytes: TLS has stronger checks, but plain TCP has not, nor has the memory on either side of it, and
// a chunk of another place must never be taken for this one. The whole is checked once more by the manifest's hash.
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import type { SnapshotManifest } from '../replica/snapshot-store.ts'
import { frameTypes, type Frame } from './frame.ts'
import { membershipSchema } from './join-words.ts'
import { WireReader, WireWriter } from './wire-bytes.ts'

/** Large enough that a round trip in a data centre costs little beside it, small enough that no heartbeat waits noticeably while it is encrypted. */
export const chunkBytesMax = 1024 * 1024
/** A manifest with the largest membership is below it too. */
export const snapshotReplyBytesMax = chunkBytesMax + 1024
export const snapshotRequestBytesMax = 1024

export type SnapshotRequest =
  | { readonly kind: 'take'; readonly indexMin: number }
  | { readonly kind: 'read'; readonly id: string; readonly offset: number; readonly length: number }

/** `busy`: this node serves as many receivers as it may. */
const snapshotRefusals = ['busy', 'snapshot_unavailable', 'snapshot_gone'] as const
export type SnapshotRefusal = (typeof snapshotRefusals)[number]

export type SnapshotReply =
  | { readonly kind: 'manifest'; readonly manifest: SnapshotManifest }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array }
  | { readonly kind: 'refused'; readonly code: SnapshotRefusal }

/** A frame that is about to be written. */
export interface FrameParts {
  readonly type: number
  readonly parts: readonly Uint8Array[]
}

const counter = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)
const manifestSchema = z.strictObject({
  id: z.string().min(1).max(255),
  bytes: counter,
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  index: counter,
  term: counter,
  membership: membershipSchema,
})

export function encodeSnapshotRequest(request: SnapshotRequest): FrameParts {
  return request.kind === 'take'
    ? { type: frameTypes.snapshotTake, parts: new WireWriter().u53(request.indexMin).parts() }
    : {
        type: frameTypes.snapshotRead,
        parts: new WireWriter().u53(request.offset).u32(request.length).text(request.id).parts(),
      }
}

/** Undefined: no question that a correct member asks. */
export function decodeSnapshotRequest(frame: Frame): SnapshotRequest | undefined {
  const reader = new WireReader(frame.body)
  if (frame.type === frameTypes.snapshotTake) {
    const indexMin = reader.u53()
    return reader.end() === undefined ? { kind: 'take', indexMin } : undefined
  }
  if (frame.type !== frameTypes.snapshotRead) return undefined
  const offset = reader.u53()
  const length = reader.u32()
  const id = reader.text()
  const isAllowed = length > 0 && length <= chunkBytesMax
  return reader.end() === undefined && isAllowed ? { kind: 'read', id, offset, length } : undefined
}

export function encodeManifest(manifest: SnapshotManifest): FrameParts {
  const { id, bytes, hash, index, term, membership } = manifest
  return { type: frameTypes.snapshotManifest, parts: [Buffer.from(JSON.stringify({ id, bytes, hash, index, term, membership }))] }
}

export function encodeChunk(asked: { readonly id: string; readonly offset: number }, bytes: Uint8Array): FrameParts {
  return { type: frameTypes.snapshotChunk, parts: new WireWriter().u32(checksumOf(asked, bytes)).bytes(bytes).parts() }
}

export function encodeSnapshotRefusal(code: SnapshotRefusal): FrameParts {
  return { type: frameTypes.snapshotRefused, parts: new WireWriter().u8(snapshotRefusals.indexOf(code) + 1).parts() }
}

/** Undefined: not an answer to this question, or damaged. */
export function decodeSnapshotReply(frame: Frame, asked: SnapshotRequest): SnapshotReply | undefined {
  if (frame.type === frameTypes.snapshotRefused) {
    const reader = new WireReader(frame.body)
    const code = reader.oneOf(snapshotRefusals)
    return reader.end() === undefined && code !== undefined ? { kind: 'refused', code } : undefined
  }
  if (asked.kind === 'take') return frame.type === frameTypes.snapshotManifest ? decodeManifest(frame.body) : undefined
  return frame.type === frameTypes.snapshotChunk ? decodeChunk(frame.body, asked) : undefined
}

function decodeManifest(body: Uint8Array): SnapshotReply | undefined {
  const parsed = manifestSchema.safeParse(parseJson(body))
  return parsed.success ? { kind: 'manifest', manifest: parsed.data } : undefined
}

function decodeChunk(body: Uint8Array, asked: Extract<SnapshotRequest, { readonly kind: 'read' }>): SnapshotReply | undefined {
  const reader = new WireReader(body)
  const checksum = reader.u32()
  const bytes = reader.rest()
  if (reader.end() !== undefined || bytes.length > asked.length) return undefined
  return checksum === checksumOf(asked, bytes) ? { kind: 'chunk', bytes } : undefined
}

function checksumOf({ id, offset }: { readonly id: string; readonly offset: number }, bytes: Uint8Array): number {
  return crc32(bytes, crc32(new WireWriter().u53(offset).text(id).concat()))
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    // Not JSON, or not UTF-8: the schema refuses undefined.
    return undefined
  }
}
