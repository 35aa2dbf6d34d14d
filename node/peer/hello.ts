// The first words on every connection between nodes: who calls, whom it wants, of which cluster, what for, in which of its lives; and the answer. Nothing else is
// understood before.
//
// A certificate says "a node of ours"; the incarnation, a secret of each data directory that only members know, says which. It is never sent here: each side proves
// that it knows its own with an HMAC over the whole hello and over the TLS channel itself (exporter, RFC 8446 §7.5). So one who sits in between (possible with
// -node-no-verify) learns nothing that it could use on another connection, and a proof cannot be replayed. Sending the incarnation itself would have failed there.
// Without TLS there is no channel to bind to: then a listener on the wire can replay a hello, and plain TCP is announced as insecure. Answers cannot be replayed even then:
// they prove that they are for this hello, which holds a number that is never used twice.
// Two refusals make the caller give something up: `removed_member` and `rolled_back`. They are believed only with such a proof, of the very member that was called.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Member, NodeId } from '../raft/membership.ts'
import { parseNodeId } from '../raft/membership-codec.ts'
import { WireReader, WireWriter } from './wire-bytes.ts'

/** This program speaks every version from min to max; the highest that both speak is used. */
export const protocol = { min: 2, max: 2 } as const

/**
 * `raft`: messages, from the caller to the called. `forward`: requests and their answers, and life signs, on a connection of their own so that large ones never
 * delay a heartbeat. `snapshot`: copies of the database, on a connection of their own for the same reason. They are for members alone. `join`, `notify` and `propose` are one question and one answer; `vouch` asks a member about another, by `remove`
 * a member asks to be one no more.
 */
export const purposes = ['raft', 'forward', 'vouch', 'join', 'notify', 'propose', 'snapshot', 'remove'] as const
export type Purpose = (typeof purposes)[number]
export const memberPurposes: ReadonlySet<Purpose> = new Set<Purpose>(['raft', 'forward', 'vouch', 'snapshot', 'remove'])

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
  /** Where the caller's disk stands; see life-marks.ts. */
  readonly life: Life
  /** Never used twice. */
  readonly nonce: Uint8Array
  readonly proof: Uint8Array
}

export interface Life {
  /** Counts the starts of this data directory, durably; 0: not counted. */
  readonly number: number
  /** Drawn at random by each process. */
  readonly process: Uint8Array
  /** The newest term that is on the caller's disk. */
  readonly term: number
  /** The caller knows that its disk cannot be believed. */
  readonly isUntrusted: boolean
}

export interface Welcome {
  readonly protocol: number
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly version: string
  readonly proof: Uint8Array
}

/**
 * Stable codes, logged and counted at both ends. `removed_member`: the caller was a member and has been removed. `rolled_back`: the caller's disk was put back in time, or a
 * copy of it is running elsewhere.
 */
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
  'removed_member',
  'rolled_back',
] as const
export type HelloRefusal = (typeof helloRefusals)[number]

const magic = Buffer.from('SSQLNODE')
const proofBytes = 32
const processBytes = 8
const nonceBytes = 16
/** Names and ids of at most 255 bytes each, with room for a longer version; before the hello nobody may send more. */
export const helloBytesMax = 4096

/** Of refusals that are nothing without proof. */
export const provenRefusals: ReadonlySet<HelloRefusal> = new Set<HelloRefusal>(['removed_member', 'rolled_back'])

export function encodeHello(hello: Hello): Uint8Array {
  return unproven(hello).bytes(hello.proof).concat()
}

function unproven(hello: Omit<Hello, 'proof'>): WireWriter {
  const { life } = hello
  return new WireWriter()
    .bytes(magic)
    .u8(hello.protocolMin)
    .u8(hello.protocolMax)
    .u8(purposes.indexOf(hello.purpose) + 1)
    .text(hello.clusterId)
    .text(hello.nodeId)
    .text(hello.targetNodeId)
    .text(hello.version)
    .u53(life.number)
    .bytes(life.process)
    .u53(life.term)
    .bool(life.isUntrusted)
    .bytes(hello.nonce)
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
  const life = { number: reader.u53(), process: reader.bytes(processBytes), term: reader.u53(), isUntrusted: reader.bool() }
  const nonce = reader.bytes(nonceBytes)
  const proof = reader.bytes(proofBytes)
  if (reader.end() !== undefined || purpose === undefined || !nodeId.ok || protocolMin > protocolMax) return undefined
  return { protocolMin, protocolMax, purpose, clusterId, nodeId: nodeId.value, targetNodeId, version, life, nonce, proof }
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

export interface Refusal {
  readonly code: HelloRefusal
  /** `noProof` where none is needed. */
  readonly proof: Uint8Array
}

export function encodeRefusal(refusal: Refusal): Uint8Array {
  return new WireWriter()
    .bytes(magic)
    .u8(helloRefusals.indexOf(refusal.code) + 1)
    .bytes(refusal.proof)
    .concat()
}

export function decodeRefusal(body: Uint8Array): Refusal | undefined {
  const reader = new WireReader(body)
  if (!magic.equals(reader.bytes(magic.length))) return undefined
  const code = reader.oneOf(helloRefusals)
  const proof = reader.bytes(proofBytes)
  return reader.end() === undefined && code !== undefined ? { code, proof } : undefined
}

export interface ProofSubject {
  /** Who proves, and what it says: a caller its hello, the one called its welcome or its refusal. */
  readonly says: 'hello' | 'welcome' | HelloRefusal
  readonly hello: Omit<Hello, 'proof'>
  /** The TLS exporter's bytes, empty without TLS. */
  readonly channel: Uint8Array
}

/** What only one who knows `incarnation` can make, for this hello on this connection alone. */
export function prove(incarnation: string, subject: ProofSubject): Uint8Array {
  const said = new WireWriter().text(subject.says).bytes(unproven(subject.hello).concat()).bytes(subject.channel).concat()
  return createHmac('sha256', incarnation).update(said).digest()
}

function isProven(proof: Uint8Array, incarnation: string, subject: ProofSubject): boolean {
  return timingSafeEqual(prove(incarnation, subject), proof)
}

/** For callers that are no members: nothing is proven. */
export const noProof: Uint8Array = new Uint8Array(proofBytes)

/** Of callers that are no members, and of stores that do not count. */
export const noLife: Life = { number: 0, process: new Uint8Array(processBytes), term: 0, isUntrusted: false }

export interface Called {
  readonly nodeId: NodeId
  readonly incarnation: string
  /** Undefined: this node belongs to no cluster yet. */
  readonly clusterId: string | undefined
  member(id: NodeId): Member | undefined
  /** Incarnations under which `id` was a member and is none any more. */
  removed(id: NodeId): readonly string[]
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
  const subject = { says: 'hello', hello, channel } as const
  if (member !== undefined && isProven(hello.proof, member.incarnation, subject)) return undefined
  // Only to the one who was removed, not to whoever guesses the name.
  if (called.removed(hello.nodeId).some((incarnation) => isProven(hello.proof, incarnation, subject))) return 'removed_member'
  return member === undefined ? 'unknown_member' : 'wrong_incarnation'
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
  return isProven(welcome.proof, member.incarnation, { says: 'welcome', hello, channel }) ? ok(welcome) : fail('identity_mismatch')
}

/** The caller's side: may this refusal be believed? */
export function judgeRefusal(
  refusal: Refusal,
  called: { readonly hello: Hello; readonly member: Pick<Member, 'incarnation'> | undefined; readonly channel: Uint8Array },
): Result<HelloRefusal, 'identity_mismatch'> {
  const { hello, member, channel } = called
  const { code, proof } = refusal
  if (!provenRefusals.has(code)) return ok(code)
  const isBelieved = member !== undefined && isProven(proof, member.incarnation, { says: code, hello, channel })
  return isBelieved ? ok(code) : fail('identity_mismatch')
}

/** In constant time, whatever the lengths. */
export function isSame(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
