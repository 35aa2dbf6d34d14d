import assert from 'node:assert/strict'
import { test } from 'node:test'
import { raftTimingOf } from './raft-timing.ts'

const defaults = { heartbeatTimeoutMs: 1_000, electionTimeoutMs: 1_000, leaderLeaseMs: 1_000, commitTimeoutMs: 50 }

test('heartbeats go ten times in a heartbeat timeout, and the other timeouts are counted in the same ticks', () => {
  assert.deepEqual(raftTimingOf(defaults), { tickMs: 50, heartbeatTicks: 2, electionTicks: 20, leaseTicks: 20, commitNewsTicks: 1 })
  const slow = { heartbeatTimeoutMs: 5_000, electionTimeoutMs: 10_000, leaderLeaseMs: 2_500, commitTimeoutMs: 1_000 }
  assert.deepEqual(raftTimingOf(slow), { tickMs: 250, heartbeatTicks: 2, electionTicks: 40, leaseTicks: 10, commitNewsTicks: 4 })
})

test('nobody stands before two heartbeats could have come, however short the election timeout', () => {
  assert.equal(raftTimingOf({ ...defaults, electionTimeoutMs: 10 }).electionTicks, 4)
})

test('a lease ends no later than an election could be won by another', () => {
  assert.equal(raftTimingOf({ ...defaults, leaderLeaseMs: 30_000 }).leaseTicks, 20)
})
