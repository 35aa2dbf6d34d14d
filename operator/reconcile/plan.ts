// What to do next. PURE: an observation and the time in; an ordered list of actions and what cannot be done out.
//
// The work is cut into stages, and a stage is planned only when the one before it has nothing left to do:
//   guards    NetworkPolicies, ServiceAccount; and the roots that others are made from: CAs, generated passwords
//   leaves    certificates, trust bundle, access file
//   workload  Services, StatefulSet, PodDisruptionBudget
// So nothing runs before what protects it, whatever write the operator dies after; what a later stage needs is read back from the API server and not
// carried in memory; and a change that pulls down a guard is repaired before what runs is touched.
// Where pods run already, the first two are one stage: a policy that the API server refuses must not keep a right from being taken away or a certificate from
// being renewed.
import type { Authority } from '../credentials/credentials.ts'
import { accessFile, accessSecret } from '../desired/access-secret.ts'
import { caBundleSecret } from '../desired/ca-bundle-secret.ts'
import { clientCaSecret, nodeCaSecret } from '../desired/ca-secret.ts'
import { guards, workload } from '../desired/desired.ts'
import type { DesiredObject } from '../desired/desired-object.ts'
import type { Installation } from '../desired/installation.ts'
import { operatorPasswordSecret, userPasswordSecret } from '../desired/password-secret.ts'
import { apiTlsSecret, nodeTlsSecret } from '../desired/tls-secret.ts'
import type { Cluster } from '../resource/cluster.ts'
import { operatorUser } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { difference, stamped } from './difference.ts'
import { objectKey } from './observation.ts'
import type { Observation } from './observation.ts'
import { planAccess } from './plan-access.ts'
import type { AccessPlan } from './plan-access.ts'
import type { Action, Problem } from './plan-action.ts'
import { planCertificates } from './plan-certificates.ts'
import type { CertificatePlan } from './plan-certificates.ts'
import { presentShape } from './present-shape.ts'
import type { PresentShape } from './present-shape.ts'
import { secretText } from './secret-text.ts'

export type Stage = 'guards' | 'leaves' | 'workload' | 'settled'

export interface Plan {
  /** The first stage that has something to do; `settled`: nothing has. */
  readonly stage: Stage
  /** In the order in which they must be done. */
  readonly actions: readonly Action[]
  readonly problems: readonly Problem[]
  readonly certificates: Readonly<Record<Authority, CertificatePlan>>
  /** Whether the access file grants everybody what the resource says. */
  readonly accessGranted: boolean
}

export function plan(observation: Observation, installation: Installation, nowMs: number): Plan {
  const certificates = {
    client: planCertificates(observation, 'client', installation, nowMs),
    node: planCertificates(observation, 'node', installation, nowMs),
  }
  const access = planAccess(observation)
  const shape = presentShape(observation)
  const taken: Problem[] = [...observation.foreign].map((object) => ({ code: 'NameTaken', object }))
  const [protecting, mounted] = [
    guardActions(observation, installation, certificates, access),
    leafActions(observation, certificates, access),
  ]
  const stages: readonly (readonly [Stage, readonly Action[]])[] = [
    ['guards', isRunning(observation) ? [...protecting, ...mounted] : protecting],
    ['leaves', mounted],
    ['workload', workloadActions(observation, installation, shape)],
  ]
  const next = stages
    .map(([stage, actions]) => ({ stage, actions: actions.filter((action) => !touchesForeign(action, observation)) }))
    .find(({ actions }) => actions.length > 0)
  return {
    stage: next?.stage ?? 'settled',
    actions: next?.actions ?? [],
    problems: [
      ...taken,
      ...problemsOf(certificates),
      ...access.problems.filter((problem) => problem.code !== 'NameTaken'),
      ...shape.problems,
    ],
    certificates,
    accessGranted:
      access.problems.length === 0 &&
      access.passwordless.length === 0 &&
      observation.objects.has(`Secret ${names.access(observation.cluster)}`),
  }
}

/** For a cluster whose spec cannot be read: what needs no spec, the renewal of certificates that are in use. Nothing else is touched. */
export function planUpkeep(observation: Observation, installation: Installation, nowMs: number): Plan {
  const whole = plan(observation, installation, nowMs)
  const issues = Object.values(whole.certificates).flatMap(({ action }) => (action?.kind === 'issue-leaf' ? [action] : []))
  const actions = isRunning(observation) ? issues.filter((action) => !touchesForeign(action, observation)) : []
  return { ...whole, stage: actions.length > 0 ? 'leaves' : 'settled', actions }
}

/** Pods exist, or may come to be at any time. */
export function isRunning({ cluster, objects }: Observation): boolean {
  return objects.has(`StatefulSet ${names.statefulSet(cluster)}`)
}

function problemsOf(certificates: Readonly<Record<Authority, CertificatePlan>>): readonly Problem[] {
  return Object.values(certificates).flatMap(({ problem }) => problem ?? [])
}

function guardActions(
  observation: Observation,
  installation: Installation,
  certificates: Plan['certificates'],
  access: AccessPlan,
): readonly Action[] {
  const { cluster, objects } = observation
  const { client, node } = certificates
  const users = cluster.users
    .filter((user) => user.passwordSecret === undefined && !access.passwordless.includes(user.name))
    .map((user) => user.name)
  const operatorPassword = secretText(objects.get(`Secret ${names.operatorUser(cluster)}`), 'password')
  const kept = [
    ...(client.ca === undefined ? [] : [clientCaSecret(cluster, client.ca)]),
    ...(node.ca === undefined ? [] : [nodeCaSecret(cluster, node.ca)]),
    ...(operatorPassword === undefined ? [] : [operatorPasswordSecret(cluster, operatorPassword)]),
    ...users.flatMap((user) => keptPassword(observation, user)),
  ]
  return [
    ...applies(observation, guards(cluster, installation)),
    ...[client, node].flatMap(({ action }) => (action?.kind === 'issue-ca' ? [action] : [])),
    ...access.passwordless.map((user): Action => ({ kind: 'make-password', user })),
    ...applies(observation, kept),
  ]
}

function keptPassword({ cluster, objects }: Observation, user: string): readonly DesiredObject[] {
  const password = secretText(objects.get(`Secret ${names.userPassword(cluster, user)}`), 'password')
  return password === undefined ? [] : [userPasswordSecret(cluster, user, password)]
}

function leafActions(observation: Observation, { client, node }: Plan['certificates'], access: AccessPlan): readonly Action[] {
  const { cluster } = observation
  const kept = [
    ...(client.leaf === undefined ? [] : [apiTlsSecret(cluster, client.leaf.pair, client.leaf.caPem)]),
    ...(node.leaf === undefined ? [] : [nodeTlsSecret(cluster, node.leaf.pair, node.leaf.caPem)]),
    ...(client.ca === undefined ? [] : [caBundleSecret(cluster, client.ca.certificatePem)]),
  ]
  return [
    ...[client, node].flatMap(({ action }) => (action?.kind === 'issue-leaf' ? [action] : [])),
    ...applies(observation, kept),
    ...accessActions(observation, access),
  ]
}

/** Hashing is work for the credentials room; where every hash is known already, the Secret is an object like any other. */
function accessActions(observation: Observation, { tasks }: AccessPlan): readonly Action[] {
  const { cluster } = observation
  const hashes = new Map(tasks.flatMap((task) => (task.how === 'keep' ? [[task.user, task.hash]] : [])))
  if (hashes.size < tasks.length) return [{ kind: 'write-access', tasks }]
  const sources = Object.fromEntries(tasks.map((task) => [task.user, task.source]))
  return applies(observation, [accessSecret(cluster, { file: accessFile(cluster, hashes), sources })])
}

function workloadActions(observation: Observation, installation: Installation, shape: PresentShape): readonly Action[] {
  const objects = workload(shape.cluster, installation)
  const actions = applies(observation, objects)
  if (isRunning(observation) ? shape.isKnown : protectionComplete(observation, installation)) return actions
  return actions.filter((action) => action.kind !== 'apply' || action.object.kind !== 'StatefulSet')
}

/** Whether pods may come to be: every policy is in place, and every Secret that they mount. */
function protectionComplete({ cluster, objects }: Observation, installation: Installation): boolean {
  const mounted = [names.apiTls(cluster), names.nodeTls(cluster), names.access(cluster)].map((name) => `Secret ${name}`)
  return [...guards(cluster, installation).map(objectKey), ...mounted].every((key) => objects.has(key))
}

function applies(observation: Observation, wanted: readonly DesiredObject[]): readonly Action[] {
  return wanted.map(stamped).flatMap((object) => {
    const observed = observation.objects.get(objectKey(object))
    const because = observed === undefined ? 'absent' : difference(object, observed)
    return because === undefined ? [] : [{ kind: 'apply' as const, object, because }]
  })
}

function touchesForeign(action: Action, { cluster, foreign }: Observation): boolean {
  return foreign.has(targetOf(action, cluster))
}

/** The object that an action writes. */
export function targetOf(action: Action, cluster: Cluster): string {
  switch (action.kind) {
    case 'apply':
      return objectKey(action.object)
    case 'issue-ca':
      return `Secret ${action.authority === 'client' ? names.clientCa(cluster) : names.nodeCa(cluster)}`
    case 'issue-leaf':
      return `Secret ${action.authority === 'client' ? names.apiTls(cluster) : names.nodeTls(cluster)}`
    case 'make-password':
      return `Secret ${action.user === operatorUser ? names.operatorUser(cluster) : names.userPassword(cluster, action.user)}`
    case 'write-access':
      return `Secret ${names.access(cluster)}`
  }
}
