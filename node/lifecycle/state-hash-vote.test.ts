import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { RaftStatus } from '../raft/raft-port.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import { StateHashVote, voteOf, type HashingMachine } from './state-hash-vote.ts'

const ids = ['n1', 'n2', 'n3'] as NodeId[]

function vote(voters: number, ...hashes: readonly (string | undefined)[]): ReturnType<typeof voteOf> {
  const given = new Map<NodeId, string>()
  for (const [at, hash] of hashes.entries()) if (hash !== undefined) given.set(`n${at + 1}` as NodeId, hash)
  return voteOf(new Set(Array.from({ length: voters }, (_, at) => `n${at + 1}` as NodeId)), given)
}

test('a majority of all voters decides, whoever leads', () => {
  assert.deepEqual(vote(3, 'b', 'a', 'a'), { kind: 'majority', hash: 'a' })
  assert.deepEqual(vote(3, 'a', 'a'), { kind: 'majority', hash: 'a' })
  assert.deepEqual(vote(1, 'a'), { kind: 'majority', hash: 'a' })
  assert.deepEqual(vote(3, 'a'), { kind: 'open' })
  assert.deepEqual(vote(3, 'a', undefined, 'b'), { kind: 'open' })
  assert.deepEqual(vote(3, 'a', 'b', 'c'), { kind: 'unclear' })
  assert.deepEqual(vote(2, 'a', 'b'), { kind: 'unclear' })
  assert.deepEqual(vote(2, 'a', undefined, 'a'), { kind: 'open' }, 'who has no vote has none here')
})

/** n1 leads and would compare `a` behind entry 5. */
class Scene {
  readonly clock = new ManualClock()
  readonly proposed: string[] = []
  readonly vote: StateHashVote
  own: string | undefined = 'a'
  others: (string | undefined)[]
  payload: string | undefined = 'own'

  constructor(...others: (string | undefined)[]) {
    this.others = others
    const membership: Membership = {
      members: ids.map((id) => ({ id, incarnation: 'i', raftAddress: `${id}:1`, apiUrl: `https://${id}:2`, suffrage: 'voter' })),
    }
    this.vote = new StateHashVote({
      machine: {
        stateHash: () => (this.payload === undefined ? undefined : Buffer.from(this.payload)),
        stateHashAt: (index) => (index === 5 ? this.own : undefined),
      } as HashingMachine, // all that is asked of it
      status: () => ({ id: ids[0], membership }) as RaftStatus, // all that is asked of it
      ask: (member, index) => Promise.resolve(index === 5 ? this.others[ids.indexOf(member) - 1] : undefined),
      indexOf: (payload) => (Buffer.from(payload).toString() === 'own' ? 5 : undefined),
      encode: (index, hash) => Buffer.from(`${index} ${hash}`),
      propose: (payload) => {
        this.proposed.push(Buffer.from(payload).toString())
        return Promise.resolve()
      },
      clock: this.clock,
      logger: makeLogger({ level: 'silent' }),
      metrics: new Metrics(),
    })
  }

  async wait(ms: number): Promise<void> {
    for (let passed = 0; passed <= ms; passed += 500) {
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
      this.clock.advance(500)
    }
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
  }
}

test('what most have is proposed, also against the leader, who learns from it that it is wrong', async () => {
  const scene = new Scene('b', 'b')
  assert.equal(scene.vote.stateHash(), undefined, 'nothing is proposed at once')
  await scene.wait(0)
  assert.deepEqual(scene.proposed, ['5 b'])
  const agreed = new Scene('a', undefined)
  agreed.vote.stateHash()
  await agreed.wait(0)
  assert.deepEqual(agreed.proposed, ['5 a'])
})

test('who has not applied as much yet is asked again for a while', async () => {
  const scene = new Scene(undefined, undefined)
  scene.vote.stateHash()
  scene.vote.stateHash()
  await scene.wait(1_000)
  assert.deepEqual(scene.proposed, [])
  scene.others = [undefined, 'a']
  await scene.wait(1_000)
  assert.deepEqual(scene.proposed, ['5 a'], 'once, however often the loop asks meanwhile')
})

test('without a majority nothing is proposed, so nobody throws anything away', async () => {
  for (const others of [
    ['b', 'c'],
    ['b', undefined],
    [undefined, undefined],
  ] as const) {
    const scene = new Scene(...others)
    scene.vote.stateHash()
    await scene.wait(10_000)
    assert.deepEqual(scene.proposed, [])
  }
})

test('to begin anew needs no vote, and nothing new nothing', () => {
  const scene = new Scene()
  scene.payload = 'begin'
  assert.equal(Buffer.from(scene.vote.stateHash() ?? []).toString(), 'begin')
  scene.payload = undefined
  assert.equal(scene.vote.stateHash(), undefined)
})
