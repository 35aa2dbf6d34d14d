// The first words on every connection between nodes: who calls, whom it wants, of which cluster, what for; and the answer. Nothing else is understood before.
//
// A certificate says "a node of ours"; the incarnation, a secret of each data directory that only members know, says which. It is never sent here: each side proves
// that it knows its own with an HMAC over what both said and over the TLS channel itself (exporter, RFC 8446 §7.5). So one who sits in between (possible with
// -node-no-verify) learns nothing that it could use on another connection, and a proof cannot be replayed. Sending the incarnation itself would have failed there.
// Without TLS there is no channel to bind to: then a listener on the wire can replay, and plain TCP is announced as insecure.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Member, NodeId } from '../raft/membership.ts'
import { parseNodeId } from '../raft/membership-codec.ts'
import { WireReader, WireWriter } from './wire-bytes.ts'

/** This program speaks every version from min to max; the highest that both speak is used. */
export const protocol = { min: 1, max: 1 } as const

/**
 * `raft`: messages, from the caller to the called. `forward`: requests and their answers, and life signs, on a connection of their own so that large ones never
 * delay a heartbeat. `snapshot`: copies of the database, on a connection of their own for the same reason. They are for members alone. `join`, `notify` and `propose` are one question and one answer; `vouch` asks a member about another.
 */
export const purposes = ['raft', 'forward', 'vouch', 'join', 'notify', 'propose', 'snapshot'] as const
export type Purpose = (typeof purposes)[number]
export const memberPurposes: ReadonlySet<Purpose> = new Set<Purpose>(['raft', 'forward', 'vouch', 'snapshot'])

export interface Hello {
  readonly protocolMin: number
  readonly protocolMax: number
  readonly purpose: Purpose
  /** Empty when the caller belongs to no cluster yet. */
  readonly clusterId: string
  readonly nodeId: NodeId
  /** Empty when the caller does not know who answers at this address. */
  readonly targetNodeId: string
  readonly version: string
  readonly proof: Uint8Array
}

export interface Welcome {
  readonly protocol: number
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly version: string
  readonly proof: Uint8Array
}

/** Stable codes, logged and counted at both ends. `identity_mismatch`: the one who answered is not who was called. */
export const helloRefusals = [
  'protocol_unsupported',
  'wrong_cluster',
  'wrong_target',
  'unknown_member',
  'wrong_incarnation',
  'not_in_a_cluster',
  'calls_itself',
  'common_name_refused',
  'busy',
] as const
export type HelloRefusal = (typeof helloRefusals)[number]

const magic = Buffer.from('SSQLNODE')
const proofBytes = 32
/** Names and ids of at most 255 bytes each, with room for a longer version; before the hello nobody may send more. */
export const helloBytesMax = 4096

export function encodeHello(hello: Hello): Uint8Array {
  return new WireWriter()
    .bytes(magic)
    .u8(hello.protocolMin)
    .u8(hello.protocolMax)
    .u8(purposes.indexOf(hello.purpose) + 1)
    .text(hello.clusterId)
    .text(hello.nodeId)
    .text(hello.targetNodeId)
    .text(hello.version)
    .bytes(hello.proof)
    .concat()
}

/** Undefined: not a hello of ours; the connection is closed without a word. */
export function decodeHello(body: Uint8Array): Hello | undefined {
  const reader = new WireReader(body)
  if (!magic.equals(reader.bytes(magic.length))) return undefined
  const protocolMin = reader.u8()
  const protocolMax = reader.u8()
  const purpose = reader.oneOf(purposes)
  const clusterId = reader.text()
  const nodeId = parseNodeId(reader.text())
  const targetNodeId = reader.text()
  const version = reader.text()
  const proof = reader.bytes(proofBytes)
  if (reader.end() !== undefined || purpose === undefined || !nodeId.ok || protocolMin > protocolMax) return undefined
  return { protocolMin, protocolMax, purpose, clusterId, nodeId: nodeId.value, targetNodeId, version, proof }
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  return new WireWriter()
    .bytes(magic)
    .u8(welcome.protocol)
    .text(welcome.clusterId)
    .text(welcome.nodeId)
    .text(welcome.version)
    .bytes(welcome.proof)
    .concat()
}

export function decodeWelcome(body: Uint8Array): Welcome | undefined {
  const reader = new WireReader(body)
  if (!magic.equals(reader.bytes(magic.length))) return undefined
  const chosen = reader.u8()
  const clusterId = reader.text()
  const nodeId = parseNodeId(reader.text())
  const version = reader.text()
  const proof = reader.bytes(proofBytes)
  if (reader.end() !== undefined || !nodeId.ok) return undefined
  return { protocol: chosen, clusterId, nodeId: nodeId.value, version, proof }
}

export function encodeRefusal(code: HelloRefusal): Uint8Array {
  return new WireWriter()
    .bytes(magic)
    .u8(helloRefusals.indexOf(code) + 1)
    .concat()
}

export function decodeRefusal(body: Uint8Array): HelloRefusal | undefined {
  const reader = new WireReader(body)
  if (!magic.equals(reader.bytes(magic.length))) return undefined
  const code = reader.oneOf(helloRefusals)
  return reader.end() === undefined ? code : undefined
}

export interface ProofSubject {
  readonly side: 'caller' | 'called'
  readonly purpose: Purpose
  readonly clusterId: string
  readonly from: string
  readonly to: string
  /** The TLS exporter's bytes, empty without TLS. */
  readonly channel: Uint8Array
}

/** What only one who knows `incarnation` can make, for this connection alone. */
export function prove(incarnation: string, subject: ProofSubject): Uint8Array {
  const { side, purpose, clusterId, from, to, channel } = subject
  const said = new WireWriter().text(side).text(purpose).text(clusterId).text(from).text(to).bytes(channel).concat()
  return createHmac('sha256', incarnation).update(said).digest()
}

/** For callers that are no members: nothing is proven. */
export const noProof: Uint8Array = new Uint8Array(proofBytes)

export interface Called {
  readonly nodeId: NodeId
  readonly incarnation: string
  /** Undefined: this node belongs to no cluster yet. */
  readonly clusterId: string | undefined
  member(id: NodeId): Member | undefined
}

/** Undefined: welcome. Everyone who is not refused here has, for the purposes of members, proven to be that member of this cluster. */
export function judgeHello(hello: Hello, called: Called, channel: Uint8Array): HelloRefusal | undefined {
  if (hello.protocolMin > protocol.max || hello.protocolMax < protocol.min) return 'protocol_unsupported'
  if (hello.targetNodeId !== '' && hello.targetNodeId !== called.nodeId) return 'wrong_target'
  if (!memberPurposes.has(hello.purpose)) return undefined
  if (called.clusterId === undefined) return 'not_in_a_cluster'
  if (!isSame(hello.clusterId, called.clusterId)) return 'wrong_cluster'
  if (hello.targetNodeId === '') return 'wrong_target'
  if (hello.nodeId === called.nodeId) return 'calls_itself'
  const member = called.member(hello.nodeId)
  if (member === undefined) return 'unknown_member'
  const expected = prove(member.incarnation, {
    side: 'caller',
    purpose: hello.purpose,
    clusterId: hello.clusterId,
    from: hello.nodeId,
    to: called.nodeId,
    channel,
  })
  return timingSafeEqual(expected, hello.proof) ? undefined : 'wrong_incarnation'
}

/** The caller's side: is the one who answered the member that was called? */
export function judgeWelcome(
  welcome: Welcome,
  called: { readonly hello: Hello; readonly member: Pick<Member, 'id' | 'incarnation'> | undefined; readonly channel: Uint8Array },
): Result<Welcome, 'identity_mismatch' | 'protocol_unsupported'> {
  const { hello, member, channel } = called
  if (welcome.protocol < hello.protocolMin || welcome.protocol > hello.protocolMax) return fail('protocol_unsupported')
  if (member === undefined) return ok(welcome)
  if (welcome.nodeId !== member.id || !isSame(welcome.clusterId, hello.clusterId)) return fail('identity_mismatch')
  const expected = prove(member.incarnation, {
    side: 'called',
    purpose: hello.purpose,
    clusterId: hello.clusterId,
    from: member.id,
    to: hello.nodeId,
    channel,
  })
  return timingSafeEqual(expected, welcome.proof) ? ok(welcome) : fail('identity_mismatch')
}

/** In constant time, whatever the lengths. */
export function isSame(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
