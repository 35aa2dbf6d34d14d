import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLogger } from '../../runtime/log.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { RaftStatus } from '../raft/raft-port.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import type { Standing } from '../replica/replica-port.ts'
import { ScriptedReplica } from '../api/scripted-node.ts'
import { stopInOrder, type StoppingParts } from './orderly-stop.ts'

interface Scene {
  readonly leaveOnStop?: boolean
  readonly handOverOnStop?: boolean
  readonly role?: RaftStatus['role']
  readonly standing?: Standing
  readonly left?: Result<void, { readonly message: string }>
  readonly transferred?: Result<void, { readonly code: 'deadline'; readonly leader: undefined }>
  readonly hasReplica?: boolean
  readonly isApiBusy?: boolean
}

/** What was done, in order. */
async function stop(scene: Scene): Promise<readonly string[]> {
  const steps: string[] = []
  const clock = new ManualClock()
  const closing = (what: string) => ({ close: () => Promise.resolve(void steps.push(what)) })
  let end = (): void => {}
  // Requests that only the replica's end can answer.
  const closed = new Promise<void>((resolve) => {
    end = resolve
  })
  const scripted = new ScriptedReplica('n1', 'n1')
  const replica = {
    status: () => ({ ...scripted.state, role: scene.role ?? 'leader' }),
    standing: () => scene.standing ?? 'member',
    transferLeadership: () => Promise.resolve((steps.push('hand over'), scene.transferred ?? ok(undefined))),
    close: () => {
      steps.push('replica')
      end()
      return Promise.resolve()
    },
  }
  const parts: StoppingParts = {
    api: {
      drain: () => void steps.push('drain'),
      flushQueue: () => Promise.resolve(void steps.push('flush')),
      close: () => {
        steps.push('api')
        return scene.isApiBusy === true ? closed : Promise.resolve()
      },
    },
    replica: () => (scene.hasReplica === false ? undefined : replica),
    peers: { leave: () => Promise.resolve((steps.push('leave'), scene.left ?? ok(undefined))), ...closing('peers') },
    store: closing('store'),
    access: closing('access'),
    leaving: { leaveOnStop: scene.leaveOnStop ?? false, handOverOnStop: scene.handOverOnStop ?? true },
    clock,
    logger: makeLogger({ level: 'silent' }),
  }
  const stopped = stopInOrder(parts)
  for (let turn = 0; turn < 100; turn += 1) {
    await Promise.resolve()
    clock.advance(100)
  }
  await stopped
  return steps
}

const closes = ['api', 'replica', 'peers', 'store', 'access']

for (const [title, scene, steps] of [
  ['a leader says that it ends, hands over, and closes in reverse order', {}, ['drain', 'flush', 'hand over', ...closes]],
  ['a follower has nothing to hand over', { role: 'follower' }, ['drain', 'flush', ...closes]],
  ['-raft-shutdown-stepdown=false keeps leadership to the end', { handOverOnStop: false }, ['drain', 'flush', ...closes]],
  [
    'a node that leaves on stop asks for it before it closes anything',
    { role: 'follower', leaveOnStop: true },
    ['drain', 'flush', 'leave', ...closes],
  ],
  [
    'a leader that leaves hands over first, whatever else was said',
    { leaveOnStop: true, handOverOnStop: false },
    ['drain', 'flush', 'hand over', 'leave', ...closes],
  ],
  [
    'what does not succeed does not hold up the end',
    { leaveOnStop: true, left: fail({ message: 'no leader' }), transferred: fail({ code: 'deadline', leader: undefined }) },
    ['drain', 'flush', 'hand over', 'leave', ...closes],
  ],
  ['requests that cannot finish are ended by the replica, after a while', { isApiBusy: true }, ['drain', 'flush', 'hand over', ...closes]],
  ['a removed node asks nobody', { standing: 'removed', leaveOnStop: true }, ['drain', ...closes]],
  [
    'before the node belongs to a cluster there is no replica to close',
    { hasReplica: false, leaveOnStop: true },
    ['drain', 'api', 'peers', 'store', 'access'],
  ],
] satisfies readonly [string, Scene, readonly string[]][]) {
  test(title, async () => assert.deepEqual(await stop(scene), steps))
}
