// What entries say about checks of the whole database (database-checks.ts). They are of the kind `state-hash`, which changes nothing in the database; a program that does not
// know them compares them with nothing.
import { readUint53, writeUint53, type Entry } from '../raft/entry.ts'

/**
 * `begin`: every node looks at its database as it is behind this very entry. `verdict`: what most of them found at the entry of that index, SHA-256 in hexadecimal; undefined:
 * no majority has found the same. `given-up`: too few could look at theirs, nothing was compared.
 */
export type CheckMark =
  | { readonly kind: 'begin' }
  | { readonly kind: 'verdict'; readonly index: number; readonly content: string | undefined }
  | { readonly kind: 'given-up'; readonly index: number }

// Layout, big-endian: u8 version | u8 kind | of a verdict: u64 index | 32 bytes, or nothing; of one given up: u64 index. Version 1 are hashes of outcomes (state-hash.ts).
const payloadVersion = 2
const kinds = { begin: 1, verdict: 2, 'given-up': 3 } as const
const hashBytes = 32
const headBytes = 10

export function encodeCheckMark(mark: CheckMark): Uint8Array {
  if (mark.kind === 'begin') return new Uint8Array([payloadVersion, kinds.begin])
  const content = mark.kind === 'given-up' || mark.content === undefined ? Buffer.alloc(0) : Buffer.from(mark.content, 'hex')
  const bytes = new Uint8Array(headBytes + content.length)
  bytes.set([payloadVersion, kinds[mark.kind]])
  writeUint53(new DataView(bytes.buffer), 2, mark.index)
  bytes.set(content, headBytes)
  return bytes
}

/** Undefined: it says something else, or something that only a newer program knows. */
export function decodeCheckMark(payload: Uint8Array): CheckMark | undefined {
  if (payload[0] !== payloadVersion) return undefined
  if (payload.length === 2 && payload[1] === kinds.begin) return { kind: 'begin' }
  const isGivenUp = payload[1] === kinds['given-up'] && payload.length === headBytes
  const isVerdict = payload[1] === kinds.verdict && (payload.length === headBytes || payload.length === headBytes + hashBytes)
  if (!isGivenUp && !isVerdict) return undefined
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  if (view.getUint32(2) >= 2 ** 21) return undefined // no index is that large
  if (isGivenUp) return { kind: 'given-up', index: readUint53(view, 2) }
  const content = payload.length === headBytes ? undefined : Buffer.from(payload.subarray(headBytes)).toString('hex')
  return { kind: 'verdict', index: readUint53(view, 2), content }
}

/** Undefined: an entry of another kind. */
export function markOf({ kind, payload }: Entry): CheckMark | undefined {
  return kind === 'state-hash' ? decodeCheckMark(payload) : undefined
}

/** All of them, or those up to the first mark, which is the last then. */
export function upToMark(entries: readonly Entry[]): readonly Entry[] {
  const at = entries.findIndex((entry) => markOf(entry) !== undefined)
  return at === -1 ? entries : entries.slice(0, at + 1)
}
