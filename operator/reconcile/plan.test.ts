import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { OwnCredentials } from '../credentials/own-credentials.ts'
import { accessFile, accessSecret } from '../desired/access-secret.ts'
import { desired } from '../desired/desired.ts'
import type { Material } from '../desired/material.ts'
import { apiCertificateNames, nodeCertificateNames } from '../desired/certificate-names.ts'
import type { KubeObject } from '../kube/kube.ts'
import type { Cluster } from '../resource/cluster.ts'
import { stamped } from './difference.ts'
import { objectKey } from './observation.ts'
import type { Observation } from './observation.ts'
import { plan, targetOf } from './plan.ts'
import { installation } from './test-world.ts'

const nowMs = Date.UTC(2027, 0, 1)
const dayMs = 24 * 60 * 60 * 1000
const credentials = new OwnCredentials({ bcryptCost: 4 })
after(() => credentials.close())

const cluster: Cluster = {
  name: 'orders',
  namespace: 'shop',
  uid: 'u',
  generation: 1,
  replicas: 3,
  storage: { size: '1Gi', storageClassName: undefined },
  image: undefined,
  resources: undefined,
  users: [{ name: 'app', permissions: ['query'], passwordSecret: undefined }],
  allowedClients: [],
  deletionPolicy: 'Retain',
}

async function newMaterial(): Promise<Material> {
  const [clientCa, nodeCa] = await Promise.all(
    (['client', 'node'] as const).map((authority) => credentials.issueCa({ authority, clusterName: 'orders', nowMs })),
  )
  const leaf = { commonName: 'orders', nowMs }
  const hash = await credentials.hashPassword('secret')
  const file = accessFile(
    cluster,
    new Map([
      ['securesql-operator', hash],
      ['app', hash],
    ]),
  )
  return {
    clientCa: clientCa!,
    nodeCa: nodeCa!,
    apiLeaf: await credentials.issueLeaf({ ...leaf, ...apiCertificateNames(cluster, installation), authority: 'client', ca: clientCa! }),
    nodeLeaf: await credentials.issueLeaf({ ...leaf, ...nodeCertificateNames(cluster, installation), authority: 'node', ca: nodeCa! }),
    operatorPassword: 'secret',
    userPasswords: [{ user: 'app', password: 'secret' }],
    access: { file, sources: { 'securesql-operator': 'uid-operator/1/password', app: 'uid-app/1/password' } },
  }
}
const material = await newMaterial()

/** A CA that is older than the clock that was ahead when its leaf was made. */
async function issuedAhead(authority: 'client' | 'node') {
  const ca = await credentials.issueCa({ authority, clusterName: 'orders', nowMs: nowMs - 10 * dayMs })
  const wanted = authority === 'client' ? apiCertificateNames(cluster, installation) : nodeCertificateNames(cluster, installation)
  return { ca, leaf: await credentials.issueLeaf({ ...wanted, authority, commonName: 'orders', nowMs, ca }) }
}
const earlierCa = { client: await issuedAhead('client'), node: await issuedAhead('node') }
const base64 = (data: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]))

/** A cluster that is as it should be, but for what `change` does to it. */
function observed(change: (objects: Map<string, KubeObject>) => void = () => {}, fields: Partial<Observation> = {}): Observation {
  const uids: Readonly<Record<string, string>> = { 'orders-operator': 'uid-operator', 'orders-user-app': 'uid-app' }
  const objects = new Map(
    desired(cluster, material, installation).map((object) => {
      const wanted = stamped(object)
      const stored: KubeObject = {
        ...wanted,
        metadata: { ...wanted.metadata, uid: uids[object.metadata.name] ?? 'x', resourceVersion: '1' },
      }
      return [objectKey(stored), stored]
    }),
  )
  change(objects)
  return { cluster, objects, foreign: new Set(), passwordSecrets: new Map(), ...fields }
}
const planned = (observation: Observation, atMs = nowMs) => {
  const { stage, actions, problems } = plan(observation, installation, atMs)
  return {
    stage,
    actions: actions.map((action) => `${action.kind} ${targetOf(action, cluster)}`),
    problems: problems.map((problem) => problem.code),
  }
}
const without = (...keys: string[]) => observed((objects) => keys.forEach((key) => objects.delete(key)))

test('a cluster that is as it should be needs nothing', () => {
  assert.deepEqual(planned(observed()), { stage: 'settled', actions: [], problems: [] })
})

test('of nothing, first the policies, then what others are made from; no more', () => {
  const nothing: Observation = { ...observed(), objects: new Map() }
  assert.deepEqual(planned(nothing), {
    stage: 'guards',
    actions: [
      'apply NetworkPolicy orders-deny',
      'apply NetworkPolicy orders-raft',
      'apply NetworkPolicy orders-api',
      'apply NetworkPolicy orders-dns',
      'apply ServiceAccount orders-node',
      'issue-ca Secret orders-client-ca',
      'issue-ca Secret orders-node-ca',
      'make-password Secret orders-operator',
      'make-password Secret orders-user-app',
    ],
    problems: [],
  })
})

test('a policy that is missing is all that is done, whatever else is missing', () => {
  const plan = planned(without('NetworkPolicy orders-raft', 'Secret orders-access', 'StatefulSet orders'))
  assert.deepEqual([plan.stage, plan.actions], ['guards', ['apply NetworkPolicy orders-raft']])
})

test('certificates and the access file come before what runs', () => {
  const plan = planned(without('Secret orders-api-tls', 'Secret orders-access', 'StatefulSet orders', 'Service orders'))
  assert.deepEqual([plan.stage, plan.actions], ['leaves', ['issue-leaf Secret orders-api-tls', 'write-access Secret orders-access']])
})

test('what runs comes last', () => {
  const plan = planned(without('StatefulSet orders', 'PodDisruptionBudget orders'))
  assert.deepEqual([plan.stage, plan.actions], ['workload', ['apply StatefulSet orders', 'apply PodDisruptionBudget orders']])
})

test('pods are not made while something that protects them cannot be made', () => {
  const observation = without('StatefulSet orders', 'NetworkPolicy orders-raft')
  const plan = planned({ ...observation, foreign: new Set(['NetworkPolicy orders-raft']) })
  assert.deepEqual(plan, { stage: 'settled', actions: [], problems: ['NameTaken'] })
})

test('the leaf is renewed after two thirds of its life and not before', () => {
  assert.deepEqual(planned(observed(), nowMs + 59 * dayMs).actions, [])
  assert.deepEqual(planned(observed(), nowMs + 61 * dayMs).actions, [
    'issue-leaf Secret orders-api-tls',
    'issue-leaf Secret orders-node-tls',
  ])
})

test('a CA that ends within four months is reported', () => {
  assert.deepEqual(planned(observed(), nowMs + 3500 * dayMs).problems, [])
  assert.deepEqual(planned(observed(), nowMs + 3540 * dayMs).problems, ['CertificateAuthorityExpiring', 'CertificateAuthorityExpiring'])
})

test('a leaf that is not valid yet, because a clock was ahead, is issued anew', () => {
  assert.deepEqual(
    plan(observed(), installation, nowMs - dayMs).problems.map((problem) => problem.code),
    ['CertificateAuthorityInvalid', 'CertificateAuthorityInvalid'],
    'so is the CA here, and nothing is signed with it',
  )
  const older = observed((objects) => {
    for (const [name, ca] of [
      ['Secret orders-client-ca', earlierCa.client],
      ['Secret orders-node-ca', earlierCa.node],
    ] as const)
      objects.set(name, { ...objects.get(name)!, data: base64({ 'tls.crt': ca.ca.certificatePem, 'tls.key': ca.ca.keyPem }) })
    for (const [name, { ca, leaf }] of [
      ['Secret orders-api-tls', earlierCa.client],
      ['Secret orders-node-tls', earlierCa.node],
    ] as const)
      objects.set(name, {
        ...objects.get(name)!,
        data: base64({ 'tls.crt': leaf.certificatePem, 'tls.key': leaf.keyPem, 'ca.crt': ca.certificatePem }),
      })
  })
  const because = plan(older, installation, nowMs - dayMs).actions.flatMap((action) => ('because' in action ? [action.because] : []))
  assert.deepEqual(
    because.filter((reason) => reason === 'not-yet-valid'),
    ['not-yet-valid', 'not-yet-valid'],
  )
})

test('nothing is signed with an expired CA', () => {
  const expired = planned(observed(), nowMs + 3651 * dayMs)
  assert.deepEqual(expired, { stage: 'settled', actions: [], problems: ['CertificateAuthorityInvalid', 'CertificateAuthorityInvalid'] })
})

test('a leaf that ends with its CA is not signed again and again near the end', async () => {
  const lateMs = nowMs + 3650 * dayMs - 120_000
  const wanted = apiCertificateNames(cluster, installation)
  const leaf = await credentials.issueLeaf({ ...wanted, authority: 'client', commonName: 'orders', nowMs: lateMs, ca: material.clientCa })
  const late = observed((objects) => {
    const data = base64({ 'tls.crt': leaf.certificatePem, 'tls.key': leaf.keyPem, 'ca.crt': material.clientCa.certificatePem })
    objects.set('Secret orders-api-tls', { ...objects.get('Secret orders-api-tls')!, data })
  })
  assert.deepEqual(
    planned(late, lateMs).actions.filter((action) => action.includes('api-tls')),
    [],
  )
})

test('a CA without leaves in use is made; one whose leaves are in use is missed', () => {
  assert.deepEqual(planned(without('Secret orders-node-ca', 'Secret orders-node-tls')).actions, ['issue-ca Secret orders-node-ca'])
  assert.deepEqual(planned(without('Secret orders-node-ca')), { stage: 'settled', actions: [], problems: ['CertificateAuthorityMissing'] })
})

test('a certificate for other names is issued anew: another installation, other addresses', () => {
  const local = { ...installation, extraIpAddresses: ['127.0.0.2', '::1'] }
  assert.deepEqual(
    plan(observed(), local, nowMs).actions.map((action) => action.kind === 'issue-leaf' && action.because),
    ['names-changed', 'names-changed'],
  )
})

test('a user who leaves the resource leaves the access file, without hashing anything', () => {
  const observation = { ...observed(), cluster: { ...cluster, users: [] } }
  const [action, ...rest] = plan(observation, installation, nowMs).actions
  assert.equal(rest.length, 0)
  assert.equal(action?.kind, 'apply')
  assert.equal(targetOf(action, cluster), 'Secret orders-access')
})

const tasks = (observation: Observation) => {
  const action = plan(observation, installation, nowMs).actions.find((candidate) => candidate.kind === 'write-access')
  return action?.kind === 'write-access' ? action.tasks.map((task) => [task.user, task.how]) : []
}

test('a hash is kept while its Secret is the same version, checked when it is another, made when there is none', () => {
  const touched = observed((objects) => {
    const secret = objects.get('Secret orders-user-app')!
    objects.set('Secret orders-user-app', { ...secret, metadata: { ...secret.metadata, resourceVersion: '2' } })
  })
  assert.deepEqual(tasks(touched), [
    ['securesql-operator', 'keep'],
    ['app', 'check'],
  ])
  assert.deepEqual(tasks(without('Secret orders-access')), [
    ['securesql-operator', 'hash'],
    ['app', 'hash'],
  ])
})

test('every hash is checked when the access file is not the one that we wrote', () => {
  const tampered = observed((objects) => {
    const ours = accessSecret(cluster, material.access)
    const theirs = accessSecret(cluster, { ...material.access, file: `${material.access.file} ` })
    objects.set('Secret orders-access', { ...ours, ...objects.get('Secret orders-access')!, data: theirs['data'] })
  })
  assert.deepEqual(tasks(tampered), [
    ['securesql-operator', 'check'],
    ['app', 'check'],
  ])
})
