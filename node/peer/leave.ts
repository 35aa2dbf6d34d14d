// A member that asks to be one no more (-raft-cluster-remove-shutdown): it asks the leader, whoever that is by then, until the leader has done it or the time is over.
// It needs no credentials: it has proven to be that member, and it can ask for nobody but itself.
import { z } from 'zod'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { NodeId } from '../raft/membership.ts'
import type { Clock } from '../replica/clock.ts'
import type { Replica } from '../replica/replica-port.ts'
import { ask, type Answerer } from './conversation.ts'
import type { MemberDirectory } from './member-directory.ts'
import { changePatiently } from './patient-change.ts'
import { pause } from './pause.ts'
import type { Dial } from './peer-dialer.ts'
import type { PeerEvent } from './peer-event.ts'

export interface LeaveOptions {
  readonly self: NodeId
  readonly directory: MemberDirectory
  readonly replica: () => Replica | undefined
  readonly dial: Dial
  readonly clock: Clock
}

/** The message has the last reason. It may still happen: a leader that was asked may go on after the time is over. */
export interface LeaveProblem {
  readonly code: 'leave_failed'
  readonly message: string
}

const questionSchema = z.strictObject({})
const answerSchema = z.strictObject({ isRemoved: z.boolean(), why: z.string().max(256) })
const roundMs = 100
const dialMsMax = 2_000
/** A change under way at the leader is waited for so long. */
const pendingMsMax = 3_000

export async function leave(options: LeaveOptions, { timeoutMs }: { readonly timeoutMs: number }): Promise<Result<void, LeaveProblem>> {
  const { clock } = options
  const untilMs = clock.monotonicMs() + timeoutMs
  let why = 'there was no time'
  while (clock.monotonicMs() < untilMs) {
    const tried = await Promise.race([leaveOnce(options, untilMs), pause(clock, untilMs - clock.monotonicMs()).then(() => undefined)])
    if (tried === undefined) break
    if (tried.ok) return tried
    why = tried.problem
    await pause(clock, Math.min(roundMs, Math.max(0, untilMs - clock.monotonicMs())))
  }
  return fail({ code: 'leave_failed', message: `not removed within ${timeoutMs} ms: ${why}` })
}

async function leaveOnce(options: LeaveOptions, untilMs: number): Promise<Result<void, string>> {
  const { self, directory, dial, clock } = options
  const replica = options.replica()
  if (replica === undefined) return fail('this node does not run yet')
  const { leader, membership } = replica.status()
  if (!membership.members.some(({ id }) => id === self)) return ok(undefined)
  if (leader === self) return removeAsLeader(replica, self, { clock, untilMs })
  const member = leader === undefined ? undefined : directory.member(leader)
  if (member === undefined) return fail('the cluster has no leader at the moment')
  const answerTimeoutMs = Math.max(1, untilMs - clock.monotonicMs())
  const call = { address: member.raftAddress, purpose: 'remove', member, timeoutMs: Math.min(dialMsMax, answerTimeoutMs) } as const
  const answer = await ask(dial, call, { question: {}, schema: answerSchema, answerTimeoutMs })
  // The answer to an earlier question may have been lost.
  if (!answer.ok) return answer.problem.refusal === 'removed_member' ? ok(undefined) : fail(answer.problem.message)
  return answer.value.isRemoved ? ok(undefined) : fail(answer.value.why)
}

/** The other end. */
export function leaveAnswerer(options: {
  readonly replica: () => Replica | undefined
  readonly clock: Clock
  readonly onEvent: (event: PeerEvent) => void
}): Answerer {
  return async (question, { member, remoteAddress }) => {
    if (!questionSchema.safeParse(question).success || member === undefined) return undefined
    const { clock } = options
    const replica = options.replica()
    const done =
      replica === undefined
        ? fail('this node does not run yet')
        : await removeAsLeader(replica, member.id, { clock, untilMs: clock.monotonicMs() + pendingMsMax })
    if (done.ok) options.onEvent({ kind: 'node-left', id: member.id, remoteAddress })
    return { isRemoved: done.ok, why: done.ok ? '' : done.problem } satisfies z.infer<typeof answerSchema>
  }
}

async function removeAsLeader(
  replica: Replica,
  id: NodeId,
  at: { readonly clock: Clock; readonly untilMs: number },
): Promise<Result<void, string>> {
  const changed = await changePatiently(replica, { kind: 'remove', id }, at)
  return changed.ok ? ok(undefined) : fail(`the membership could not be changed (${changed.problem.code})`)
}
