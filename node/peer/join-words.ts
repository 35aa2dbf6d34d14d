// What is said when a node wants in: the words of joining and of forming, as JSON with every key known. Field by field they are judged where membership entries are judged.
import { z } from 'zod'
import type { Member, NodeId } from '../raft/membership.ts'
import { parseMembership } from '../raft/membership-codec.ts'

/** A node as it introduces itself. */
export type NodeRecord = Omit<Member, 'suffrage'>

export interface Credentials {
  readonly username: string
  /** Never logged. */
  readonly password: string
}

/**
 * Why a join was not done. Final: `join_denied` (no credentials that may join), `member_of_another_incarnation` (that id belongs to a data directory which is not this
 * one), `removed_member` (this data directory was a member's that has been removed), `suffrage_differs` (a voter asks to be read-only or the reverse), `address_taken`,
 * `join_malformed`. To be tried again: the others.
 */
const finalJoinProblemCodes = [
  'join_denied',
  'member_of_another_incarnation',
  'address_taken',
  'removed_member',
  'suffrage_differs',
  'join_malformed',
] as const
const joinProblemCodes = [...finalJoinProblemCodes, 'leader_unknown', 'not_in_a_cluster', 'busy', 'join_failed'] as const
export type JoinProblemCode = (typeof joinProblemCodes)[number]
export const finalJoinProblems: ReadonlySet<JoinProblemCode> = new Set(finalJoinProblemCodes)

/** What a node wants to be: a voter (a learner first), or a read replica (`-raft-non-voter`), which never votes. */
const joinKinds = ['voter', 'read-only'] as const
export type JoinKind = (typeof joinKinds)[number]

const text = z.string().min(1).max(512)
/** Shape only; ids and bounds are judged by parseMembership, as for every membership entry. */
const recordSchema = z
  .strictObject({ id: text, incarnation: text, raftAddress: text, apiUrl: text })
  .transform((record, context): NodeRecord => {
    const parsed = parseMembership({ members: [{ ...record, suffrage: 'voter' }] })
    if (parsed.ok) return { ...record, id: record.id as NodeId }
    context.addIssue({ code: 'custom', message: parsed.problem })
    return z.NEVER
  })
/** Judged where membership entries are judged. */
export const membershipSchema = z.unknown().transform((value, context) => {
  const parsed = parseMembership(value)
  if (parsed.ok) return parsed.value
  context.addIssue({ code: 'custom', message: parsed.problem })
  return z.NEVER
})
const credentialsSchema = z.strictObject({ username: z.string().max(1024), password: z.string().max(4096) })
const clusterId = z.string().min(1).max(128)

export const joinQuestionSchema = z.strictObject({
  record: recordSchema,
  as: z.enum(joinKinds),
  credentials: credentialsSchema.optional(),
})

export const joinAnswerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('joined'), clusterId, membership: membershipSchema }),
  z.strictObject({ kind: z.literal('redirect'), address: text }),
  z.strictObject({ kind: z.literal('refused'), code: z.enum(joinProblemCodes), message: z.string().max(1024) }),
])
export type JoinAnswer = z.infer<typeof joinAnswerSchema>

export const notifyQuestionSchema = z.strictObject({ record: recordSchema, credentials: credentialsSchema.optional() })

/** `adopted`: has accepted a cluster that is not known to be complete yet. `running`: is a member of a cluster that serves. */
export const notifyAnswerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('unformed'), record: recordSchema }),
  z.strictObject({ kind: z.literal('adopted'), record: recordSchema, clusterId, membership: membershipSchema }),
  z.strictObject({ kind: z.literal('running'), clusterId }),
  z.strictObject({ kind: z.literal('denied') }),
])
export type NotifyAnswer = z.infer<typeof notifyAnswerSchema>

export const proposeQuestionSchema = z.strictObject({ clusterId, membership: membershipSchema, credentials: credentialsSchema.optional() })
export const proposeAnswerSchema = z.strictObject({ accepted: z.boolean(), code: z.string().max(64) })
