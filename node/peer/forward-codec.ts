// A forwarded request and its reply in bytes. The identity is the one that the sending node has verified; nothing that a client wrote can land in its field.
import type { ForwardedReply, ForwardedRequest, Identity } from '../api/forwarder.ts'
import { WireReader, WireWriter } from './wire-bytes.ts'

/** Type, ids and texts beside the body: path, query and a user's name, each at most 64 KiB. */
const overheadBytesMax = 512 * 1024
/** As long as the longest log entry: what is longer could not be written anyway. */
export const forwardBodyBytesMax = 64 * 1024 * 1024
export const forwardFrameBytesMax = forwardBodyBytesMax + overheadBytesMax
const textBytesMax = 0xffff
const headersMax = 64
const identityKinds = ['anonymous', 'user'] as const

/** Undefined: too large to be sent. */
export function encodeRequest(id: number, request: ForwardedRequest): readonly Uint8Array[] | undefined {
  const { method, path, query, contentType, body, identity, timeoutMs } = request
  const username = identity.kind === 'user' ? identity.username : ''
  const isTooLong = [method, path, query, contentType, username].some((text) => Buffer.byteLength(text) > textBytesMax)
  if (isTooLong || body.length > forwardBodyBytesMax) return undefined
  const head = new WireWriter()
    .u32(id)
    .u32(Math.max(0, Math.floor(timeoutMs)))
    .u8(identityKinds.indexOf(identity.kind) + 1)
    .text(username)
    .text(method)
    .text(path)
    .text(query)
    .text(contentType)
    .concat()
  return [head, body]
}

/** Undefined: malformed. */
export function decodeRequest(body: Uint8Array): { readonly id: number; readonly request: ForwardedRequest } | undefined {
  const reader = new WireReader(body)
  const id = reader.u32()
  const timeoutMs = reader.u32()
  const identityKind = reader.oneOf(identityKinds)
  const username = reader.text()
  const method = reader.text()
  const path = reader.text()
  const query = reader.text()
  const contentType = reader.text()
  const identity = makeIdentity(identityKind, username)
  const requestBody = reader.rest()
  if (reader.end() !== undefined || identity === undefined) return undefined
  return { id, request: { method, path, query, contentType, body: requestBody, identity, timeoutMs } }
}

function makeIdentity(kind: Identity['kind'] | undefined, username: string): Identity | undefined {
  if (kind === 'anonymous') return username === '' ? { kind } : undefined
  return kind === 'user' && username !== '' ? { kind, username } : undefined
}

/** Undefined: too large to be sent. */
export function encodeReply(id: number, reply: ForwardedReply): readonly Uint8Array[] | undefined {
  const headers = Object.entries(reply.headers)
  const isTooLong = headers.some(([name, value]) => Buffer.byteLength(name) > textBytesMax || Buffer.byteLength(value) > textBytesMax)
  const writer = new WireWriter().u32(id).u32(reply.status).u8(headers.length)
  if (isTooLong || headers.length > headersMax || reply.body.length > forwardBodyBytesMax) return undefined
  for (const [name, value] of headers) writer.text(name).text(value)
  const head = writer.concat()
  return head.length > overheadBytesMax ? undefined : [head, reply.body]
}

/** Undefined: malformed. */
export function decodeReply(body: Uint8Array): { readonly id: number; readonly reply: ForwardedReply } | undefined {
  const reader = new WireReader(body)
  const id = reader.u32()
  const status = reader.u32()
  const headers: [string, string][] = []
  const count = reader.u8()
  for (let n = 0; n < count && reader.defect === undefined; n += 1) headers.push([reader.text(), reader.text()])
  const replyBody = reader.rest()
  if (reader.end() !== undefined || status < 100 || status > 599 || count > headersMax) return undefined
  // fromEntries defines own properties: a header called __proto__ is a header like any other.
  return { id, reply: { status, headers: Object.fromEntries(headers), body: replyBody } }
}
