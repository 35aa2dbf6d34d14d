import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import { member, ScriptedReplica } from '../api/scripted-node.ts'
import type { MembershipChange } from '../raft/membership.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import type { ReplicaProblem } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import { Reaper } from './reaper.ts'

class SilentMembers extends ScriptedReplica {
  readonly asked: MembershipChange[] = []
  readonly answers: ((answer: Result<Applied, ReplicaProblem>) => void)[] = []

  constructor() {
    super(
      'n1',
      'n1',
      ['n1', 'n2', 'n3', 'n4', 'n5'].map((name) => member(name)),
    )
    const hear = (id: string) => ({ id: member(id).id, matchIndex: 7, nextIndex: 8, state: 'replicate', active: id < 'n4' }) as const
    this.state = { ...this.state, followers: ['n2', 'n3', 'n4', 'n5'].map(hear) }
  }

  override changeMembership(change: MembershipChange): Promise<Result<Applied, ReplicaProblem>> {
    this.asked.push(change)
    return new Promise((resolve) => this.answers.push(resolve))
  }
}

test('one member at a time goes, and one that could not go is tried again', async () => {
  const clock = new ManualClock()
  const replica = new SilentMembers()
  const metrics = new Metrics()
  const logger = makeLogger({ level: 'silent' })
  const reaper = new Reaper({ replica, voterMs: 10_000, nonVoterMs: undefined, expectedVoters: 5, clock, logger, metrics })
  clock.advance(60_000)
  assert.deepEqual(replica.asked, [{ kind: 'remove', id: 'n4' }])
  replica.answers[0]?.(fail({ code: 'membership_change_pending', leader: undefined }))
  await Promise.resolve()
  await Promise.resolve()
  clock.advance(1_000)
  assert.equal(replica.asked.length, 2)
  replica.state = { ...replica.state, membership: { members: replica.state.membership.members.filter(({ id }) => id !== 'n4') } }
  replica.answers[1]?.(ok({ index: 9, term: 3, outcome: undefined }))
  await Promise.resolve()
  await Promise.resolve()
  clock.advance(1_000)
  assert.deepEqual(replica.asked.at(-1), { kind: 'remove', id: 'n5' })
  assert.ok((await metrics.render()).includes('securesql_members_reaped_total{outcome="removed"} 1'))
  reaper.close()
  replica.answers[2]?.(fail({ code: 'membership_change_pending', leader: undefined }))
  await Promise.resolve()
  clock.advance(60_000)
  assert.equal(replica.asked.length, 3)
})

test('without timeouts nothing is looked at', () => {
  const clock = new ManualClock()
  const replica = new SilentMembers()
  const metrics = new Metrics()
  const logger = makeLogger({ level: 'silent' })
  const reaper = new Reaper({ replica, voterMs: undefined, nonVoterMs: undefined, expectedVoters: 5, clock, logger, metrics })
  clock.advance(1_000_000)
  assert.deepEqual(replica.asked, [])
  reaper.close()
})
