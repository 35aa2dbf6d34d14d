import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conditionReasons, conditionTypes } from '../resource/conditions.ts'
import { clusterHealth } from './cluster-health.ts'
import type { Plan } from './plan.ts'
import type { Problem } from './plan-action.ts'
import { judge } from './status-conditions.ts'
import type { Evidence } from './status-conditions.ts'
import { report } from './test-world.ts'

const usable = { ca: undefined, caExpiresAtMs: 2, leaf: undefined, leafExpiresAtMs: 1, action: undefined, problem: undefined }
const settled: Plan = { stage: 'settled', actions: [], problems: [], certificates: { client: usable, node: usable }, accessGranted: true }
const busy: Plan = { ...settled, stage: 'guards', actions: [{ kind: 'make-password', user: 'app' }] }
const with_ = (...problems: Problem[]): Plan => ({ ...settled, problems })
const health = (ready: number, wanted = 3, leader: string | undefined = 'orders-0') => ({
  wanted,
  ready,
  quorum: Math.floor(wanted / 2) + 1,
  leader,
})
const evidence = (fields: Partial<Evidence>): Evidence => ({
  plan: settled,
  health: health(3),
  setbacks: [],
  restartPending: false,
  nowMs: 0,
  wasServing: true,
  ...fields,
})
const refused: Problem = { code: 'ApplyRefused', object: 'NetworkPolicy orders-raft', message: 'quota' }
const contested: Problem = { code: 'Contested', object: 'StatefulSet orders', because: 'spec.template' }
const unwell: Problem = { code: 'ApiServerProblem', object: 'Secret orders-access', problem: 'unreachable' }

/** What is known, and reason (with + for True, - for False, ? for Unknown) of Ready, Progressing, Degraded. */
const cases: Readonly<Record<string, readonly [Partial<Evidence>, string]>> = {
  'a new cluster whose objects are being made': [
    { plan: busy, health: health(0, 3, undefined), wasServing: false },
    '-MembersStarting +Applying -MembersStarting',
  ],
  'a new cluster with one member ready': [{ health: health(1), wasServing: false }, '-MembersStarting +MembersStarting -MembersStarting'],
  'a new cluster with a quorum ready is not called ready yet': [
    { health: health(2), wasServing: false },
    '-MembersStarting +MembersStarting -MembersStarting',
  ],
  'all ready for the first time': [{ wasServing: false }, '+AllMembersReady -Settled -AsExpected'],
  'one of three lost': [{ health: health(2) }, '+QuorumReady -Settled +MembersNotReady'],
  'two of three lost': [{ health: health(1) }, '-QuorumLost -Settled +MembersNotReady'],
  'two of five lost': [{ health: health(3, 5) }, '+QuorumReady -Settled +MembersNotReady'],
  'the only one of one lost': [{ health: health(0, 1, undefined) }, '-QuorumLost -Settled +MembersNotReady'],
  'an election is going on': [{ health: { wanted: 3, ready: 2, quorum: 2, leader: undefined } }, '-NoLeader -Settled +MembersNotReady'],
  'a change is being applied to a cluster that serves': [{ plan: busy }, '+AllMembersReady +Applying -AsExpected'],
  'pods wait for a restart': [{ restartPending: true }, '+AllMembersReady -RestartNotSupportedYet -AsExpected'],
  'more members are wanted': [
    { plan: with_({ code: 'ScalingNotSupportedYet', present: 3, wanted: 5 }) },
    '+AllMembersReady -ScalingNotSupportedYet +ScalingNotSupportedYet',
  ],
  'an object was refused': [{ setbacks: [refused] }, '+AllMembersReady -Blocked +ApplyRefused'],
  'somebody undoes what is written': [{ plan: busy, setbacks: [contested] }, '+AllMembersReady -Contested +Contested'],
  'the API server does not take it': [{ plan: busy, setbacks: [unwell] }, '+AllMembersReady -ApiServerProblem +ApiServerProblem'],
  'a password is missing': [
    { plan: with_({ code: 'PasswordSecretMissing', user: 'app', secret: 's' }) },
    '+AllMembersReady -Settled +PasswordSecretMissing',
  ],
}
for (const [title, [fields, wanted]] of Object.entries(cases)) {
  test(`Ready, Progressing and Degraded: ${title}`, () => {
    const verdicts = judge(evidence(fields))
    const told = (['Ready', 'Progressing', 'Degraded'] as const).map(
      (type) => `${{ True: '+', False: '-', Unknown: '?' }[verdicts[type].status]}${verdicts[type].reason}`,
    )
    assert.equal(told.join(' '), wanted)
  })
}

test('what is not made yet is unknown, not false', () => {
  const nothing = { ...usable, leafExpiresAtMs: undefined }
  const verdicts = judge(
    evidence({ plan: { ...busy, certificates: { client: nothing, node: nothing }, accessGranted: false }, wasServing: false }),
  )
  assert.deepEqual([verdicts.UsersReady.status, verdicts.CertificatesReady.status], ['Unknown', 'Unknown'])
})

test('a certificate in use that has expired is not called ready', () => {
  const { CertificatesReady } = judge(evidence({ nowMs: 1 }))
  assert.deepEqual([CertificatesReady.status, CertificatesReady.reason], ['False', 'Expired'])
})

test('a policy of that name that belongs to somebody else means that the network is not restricted', () => {
  const verdicts = judge(evidence({ plan: with_({ code: 'NameTaken', object: 'NetworkPolicy orders-raft' }) }))
  assert.deepEqual([verdicts.NetworkRestricted.status, verdicts.NetworkRestricted.reason], ['False', 'Blocked'])
})

test('a policy that could not be written means that the network is not restricted', () => {
  const verdicts = judge(evidence({ plan: busy, setbacks: [refused] }))
  assert.equal(verdicts.NetworkRestricted.status, 'False')
})

test('every reason that is given is one that is listed', () => {
  const problems: Problem[] = [
    { code: 'NameTaken', object: 'NetworkPolicy x' },
    refused,
    contested,
    unwell,
    { code: 'ScalingNotSupportedYet', present: 1, wanted: 3 },
    { code: 'StorageGrowthNotSupportedYet', present: '1Gi', wanted: '2Gi' },
    { code: 'PasswordSecretMissing', user: 'u', secret: 's' },
    { code: 'PasswordUnusable', user: 'u', secret: 's', why: 'w' },
    { code: 'CertificateAuthorityMissing', secret: 's' },
    { code: 'CertificateAuthorityExpiring', secret: 's', expiresAtMs: 0 },
    { code: 'CertificateAuthorityReplaced', secret: 's' },
    { code: 'CertificateAuthorityInvalid', secret: 's' },
    { code: 'MembersUnclear', said: 3, present: undefined },
  ]
  const worlds = [
    ...Object.values(cases).map(([fields]) => evidence(fields)),
    ...problems.map((problem) => evidence({ plan: with_(problem) })),
  ]
  for (const world of worlds) {
    const verdicts = judge(world)
    for (const type of conditionTypes) assert.ok(verdicts[type].reason in conditionReasons[type], `${type} ${verdicts[type].reason}`)
  }
})

test('members that do not answer count as not ready, and their last words are not believed', () => {
  const answers = [
    { name: 'orders-0', report: report('orders-0', { term: 3, leader: 'orders-1' }) },
    { name: 'orders-1', problem: { code: 'member_unreachable' as const, message: 'x' } },
    { name: 'orders-2', report: report('orders-2', { term: 2, role: 'leader', leader: 'orders-2', ready: false }) },
  ]
  assert.deepEqual(clusterHealth(answers, 3), { wanted: 3, ready: 1, quorum: 2, leader: 'orders-1' })
})
