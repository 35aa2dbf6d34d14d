import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { leaseKind, must } from '../kube/kube-contract-objects.ts'
import { objectAt } from '../kube/json-object.ts'
import { MemoryKube } from '../kube/memory-kube.ts'
import { FaultyKube } from './faulty-kube.ts'
import { LeaderLease, leaseTimes } from './leader-lease.ts'
import { ManualClock } from './manual-clock.ts'

interface Candidate {
  readonly kube: FaultyKube
  readonly lease: LeaderLease
}

interface World {
  readonly clock: ManualClock
  readonly server: MemoryKube
  /** `+a` when a begins to lead, `-a` when it must stop, with the time. */
  readonly told: string[]
  readonly stand: (identity: string) => Candidate
  readonly spec: () => Promise<{ readonly [field: string]: unknown }>
}

const ref = { ...leaseKind, namespace: 'securesql', name: 'operator' }

function world(): World {
  const clock = new ManualClock()
  let made = 0
  const server = new MemoryKube({ now: () => new Date(clock.wallMs()), newUid: () => `uid-${(made += 1)}` })
  const told: string[] = []
  const stand = (identity: string): Candidate => {
    const kube = new FaultyKube(server)
    const lead = (signal: AbortSignal): Promise<void> => {
      told.push(`+${identity} ${clock.monotonicMs()}`)
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          told.push(`-${identity} ${clock.monotonicMs()}`)
          resolve()
        })
      })
    }
    const log = pino({ enabled: false })
    return { kube, lease: new LeaderLease({ kube, namespace: 'securesql', name: 'operator', identity, clock, log, lead }) }
  }
  const spec = async (): Promise<{ readonly [field: string]: unknown }> => objectAt(must(await server.get(ref)), 'spec')
  return { clock, server, told, stand, spec }
}

test('of two operators one leads, for as long as it renews', async () => {
  const { clock, told, stand, spec } = world()
  const a = stand('a')
  await clock.settle()
  const b = stand('b')
  await clock.advance(120_000)
  assert.deepEqual(told, ['+a 0'])
  assert.equal((await spec())['holderIdentity'], 'a')
  assert.equal((await spec())['leaseTransitions'], 0)
  assert.deepEqual([a.lease.leading, b.lease.leading], [true, false])
  await Promise.all([a.lease.close(), b.lease.close()])
})

test('an operator that ends in order frees the Lease, and the other leads at its next try', async () => {
  const { clock, told, stand, spec } = world()
  const a = stand('a')
  await clock.settle()
  const b = stand('b')
  await clock.advance(5_000)
  await a.lease.close()
  assert.equal((await spec())['holderIdentity'], '')
  await clock.advance(leaseTimes.retryMs)
  assert.deepEqual(told, ['+a 0', '-a 5000', '+b 6000'])
  assert.equal((await spec())['leaseTransitions'], 1)
  await b.lease.close()
  assert.equal(clock.pending, 0)
})

test('a holder that cannot renew stops before anybody else may begin', async () => {
  const { clock, told, stand } = world()
  const a = stand('a')
  await clock.settle()
  const b = stand('b')
  await clock.advance(4_500)
  a.kube.failNext('replace', 'unreachable', 1_000_000)
  a.kube.failNext('get', 'unreachable', 1_000_000)
  await clock.advance(60_000)
  const [began, stopped, next] = told
  assert.deepEqual([began, stopped], ['+a 0', '-a 14000'])
  assert.match(next ?? '', /^\+b /)
  assert.ok(Number((next ?? '').slice(3)) > 14_000 + (leaseTimes.leaseMs - leaseTimes.renewDeadlineMs) - leaseTimes.retryMs, String(next))
  await Promise.all([a.lease.close(), b.lease.close()])
})

test('a holder whose renewal never comes back stops at its deadline too', async () => {
  const { clock, told, stand } = world()
  const a = stand('a')
  await clock.advance(4_500)
  a.kube.hang('replace')
  await clock.advance(10_000)
  assert.deepEqual(told, ['+a 0', '-a 14000'])
})

test('an answer that was lost does not end a leadership: the Lease still names us', async () => {
  const { clock, server, told, stand } = world()
  const a = stand('a')
  await clock.advance(3_000)
  const current = must(await server.get(ref))
  must(await server.replace({ ...current, metadata: { ...current.metadata, labels: { touched: 'yes' } } }))
  await clock.advance(60_000)
  assert.deepEqual(told, ['+a 0'])
  await a.lease.close()
})

test('a holder whose Lease was taken by somebody else stops at its next renewal', async () => {
  const { clock, server, told, stand } = world()
  const a = stand('a')
  await clock.advance(3_000)
  const current = must(await server.get(ref))
  must(await server.replace({ ...current, spec: { ...objectAt(current, 'spec'), holderIdentity: 'intruder' } }))
  await clock.advance(2_000)
  assert.deepEqual(told, ['+a 0', '-a 4000'])
  await a.lease.close()
})

test('a take-over waits for the lease time as seen by the challenger, whatever the timestamps say', async () => {
  const { clock, server, told, stand } = world()
  const spec = { holderIdentity: 'crashed', leaseDurationSeconds: 15, renewTime: '1970-01-01T00:00:00.000000Z' }
  must(await server.create({ ...leaseKind, metadata: { namespace: 'securesql', name: 'operator' }, spec }))
  const b = stand('b')
  await clock.advance(14_000)
  assert.deepEqual(told, [])
  await clock.advance(2_000)
  assert.deepEqual(told, ['+b 16000'])
  await b.lease.close()
})

test('two challengers of a dead holder: one wins, the other meets a conflict and waits', async () => {
  const { clock, server, told, stand } = world()
  const spec = { holderIdentity: 'crashed', leaseDurationSeconds: 15 }
  must(await server.create({ ...leaseKind, metadata: { namespace: 'securesql', name: 'operator' }, spec }))
  const b = stand('b')
  const c = stand('c')
  await clock.advance(120_000)
  assert.equal(told.length, 1)
  assert.match(told[0] ?? '', /^\+[bc] 16000$/)
  await Promise.all([b.lease.close(), c.lease.close()])
})
