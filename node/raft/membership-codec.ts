// The payload of a `membership` entry: the whole membership as JSON (not the change), so that applying an entry needs nothing but the entry.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Member, Membership, NodeId } from './membership.ts'

export type MembershipDefect =
  | 'membership_not_json'
  | 'membership_shape'
  | 'membership_field'
  | 'membership_order'
  | 'membership_address_taken'
  | 'membership_too_large'

/** Everyone speaks to everyone, and each append goes to each member: more than this is not a Raft cluster but a mistake. */
export const membersMax = 64

const nodeIdPattern = /^[\x21-\x2b\x2d-\x7e]{1,255}$/
const textBytesMax = 512
const membershipKeys: readonly string[] = ['members', 'epoch,members']
const memberKeys: readonly string[] = ['apiUrl', 'id', 'incarnation', 'raftAddress', 'suffrage']

/** 1..255 printable ASCII characters, no space, no `,`. */
export function parseNodeId(text: unknown): Result<NodeId, 'node_id_invalid'> {
  return typeof text === 'string' && nodeIdPattern.test(text) ? ok(text as NodeId) : fail('node_id_invalid')
}

export function encodeMembership(membership: Membership): Uint8Array {
  const members = membership.members.map(({ id, incarnation, raftAddress, apiUrl, suffrage }) => ({
    id,
    incarnation,
    raftAddress,
    apiUrl,
    suffrage,
  }))
  const { epoch } = membership
  return new TextEncoder().encode(JSON.stringify(epoch === undefined ? { members } : { members, epoch }))
}

export function decodeMembership(payload: Uint8Array): Result<Membership, MembershipDefect> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    // JSON.parse and the fatal decoder throw on anything that is not JSON in UTF-8; both mean the same here.
    return fail('membership_not_json')
  }
  return parseMembership(value)
}

/** The order and uniqueness of ids, the bounds of every text, the count and the epoch (absent: never replaced by hand) are all checked; unknown fields are refused. */
export function parseMembership(value: unknown): Result<Membership, MembershipDefect> {
  if (typeof value !== 'object' || value === null || !membershipKeys.includes(Object.keys(value).sort().join()))
    return fail('membership_shape')
  const { members: list, epoch } = value as Record<string, unknown>
  if (epoch !== undefined && !isEpoch(epoch)) return fail('membership_field')
  if (!Array.isArray(list)) return fail('membership_shape')
  if (list.length > membersMax) return fail('membership_too_large')
  const members: Member[] = []
  for (const item of list as unknown[]) {
    const member = parseMember(item)
    if (!member.ok) return member
    const before = members.at(-1)
    if (before !== undefined && before.id >= member.value.id) return fail('membership_order')
    members.push(member.value)
  }
  if (new Set(members.map((member) => member.raftAddress)).size !== members.length) return fail('membership_address_taken')
  return ok(epoch === undefined ? { members } : { members, epoch })
}

function parseMember(item: unknown): Result<Member, MembershipDefect> {
  if (typeof item !== 'object' || item === null) return fail('membership_shape')
  if (Object.keys(item).sort().join() !== memberKeys.join()) return fail('membership_shape')
  const { id, incarnation, raftAddress, apiUrl, suffrage } = item as Record<string, unknown>
  const nodeId = parseNodeId(id)
  if (!nodeId.ok || !isText(incarnation) || !isText(raftAddress) || !isText(apiUrl)) return fail('membership_field')
  if (suffrage !== 'voter' && suffrage !== 'learner' && suffrage !== 'non-voter') return fail('membership_field')
  return ok({ id: nodeId.value, incarnation, raftAddress, apiUrl, suffrage })
}

function isEpoch(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= textBytesMax
}
