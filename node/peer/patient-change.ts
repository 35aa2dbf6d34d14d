// Membership changes come one at a time, and none before the leader has committed an entry of its term (Raft's thesis §4.1 with the correction of 2015): both pass, so whoever
// has time waits.
import type { Result } from '../../runtime/result.ts'
import type { MembershipChange } from '../raft/membership.ts'
import type { Clock } from '../replica/clock.ts'
import type { Replica } from '../replica/replica-port.ts'
import { pause } from './pause.ts'

type Changed = Awaited<ReturnType<Replica['changeMembership']>>
export type ChangeProblem = Changed extends Result<unknown, infer Problem> ? Problem : never

const changeMsMax = 10_000
const pendingPauseMs = 50

/** `untilMs`, by the monotonic clock: how long a change that is under way is waited for. */
export async function changePatiently(
  replica: Replica,
  change: MembershipChange,
  at: { readonly clock: Clock; readonly untilMs: number },
): Promise<Changed> {
  for (;;) {
    const changed = await replica.changeMembership(change, { timeoutMs: changeMsMax })
    if (changed.ok || changed.problem.code !== 'membership_change_pending' || at.clock.monotonicMs() >= at.untilMs) return changed
    await pause(at.clock, pendingPauseMs)
  }
}
