// Raft's timeouts as the core counts them: configured in milliseconds, counted in ticks.

/** As they are configured. */
export interface RaftTimeouts {
  readonly heartbeatTimeoutMs: number
  readonly electionTimeoutMs: number
  readonly leaderLeaseMs: number
  readonly commitTimeoutMs: number
}

export interface RaftTiming {
  readonly tickMs: number
  readonly heartbeatTicks: number
  readonly electionTicks: number
  readonly leaseTicks: number
  /** In quiet times reads of followers may be so much older. */
  readonly commitNewsTicks: number
}

const heartbeatTimeoutTicks = 20
/** They go ten times in a heartbeat timeout; two ticks apart, so that one tick more or less does not matter. */
const heartbeatTicks = 2

/** An election timeout is never shorter than two heartbeats, a lease never longer than an election timeout. */
export function raftTimingOf({ heartbeatTimeoutMs, electionTimeoutMs, leaderLeaseMs, commitTimeoutMs }: RaftTimeouts): RaftTiming {
  const tickMs = heartbeatTimeoutMs / heartbeatTimeoutTicks
  const ticksOf = (ms: number): number => Math.round(ms / tickMs)
  const electionTicks = Math.max(heartbeatTicks * 2, ticksOf(electionTimeoutMs))
  return {
    tickMs,
    heartbeatTicks,
    electionTicks,
    leaseTicks: Math.min(electionTicks, ticksOf(leaderLeaseMs)),
    commitNewsTicks: ticksOf(commitTimeoutMs),
  }
}
