// Reads everything that a pass decides on. Objects that we made are listed by label, one list a kind; what the lists lack is asked for by name, because an
// object without our label may have a name that we are about to write to.
import { fail, ok } from '../../runtime/result.ts'
import type { Kind, Kube, KubeObject, KubeProblem, KubeResult } from '../kube/kube.ts'
import type { Cluster } from '../resource/cluster.ts'
import { clusterLabel } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { objectKey } from './observation.ts'
import type { Observation } from './observation.ts'

const kinds = {
  Secret: { apiVersion: 'v1', kind: 'Secret' },
  Service: { apiVersion: 'v1', kind: 'Service' },
  ServiceAccount: { apiVersion: 'v1', kind: 'ServiceAccount' },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
  StatefulSet: { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  PodDisruptionBudget: { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
} as const satisfies Record<string, Kind>

/** Kind and name of every object that the cluster consists of: the same as `desired` makes (a test compares them). */
export function ownedNames(cluster: Cluster): readonly { readonly kind: Kind; readonly name: string }[] {
  const generated = cluster.users.filter((user) => user.passwordSecret === undefined).map((user) => names.userPassword(cluster, user.name))
  return [
    ...of('NetworkPolicy', names.denyPolicy(cluster), names.raftPolicy(cluster), names.apiPolicy(cluster), names.dnsPolicy(cluster)),
    ...of('ServiceAccount', names.serviceAccount(cluster)),
    ...of('Secret', names.clientCa(cluster), names.nodeCa(cluster), names.operatorUser(cluster), ...generated),
    ...of('Secret', names.apiTls(cluster), names.nodeTls(cluster), names.caBundle(cluster), names.access(cluster)),
    ...of('Service', names.nodesService(cluster), names.clientService(cluster)),
    ...of('StatefulSet', names.statefulSet(cluster)),
    ...of('PodDisruptionBudget', names.disruptionBudget(cluster)),
  ]
}

function of(kind: keyof typeof kinds, ...made: readonly string[]): readonly { readonly kind: Kind; readonly name: string }[] {
  return made.map((name) => ({ kind: kinds[kind], name }))
}

export async function observe(kube: Kube, cluster: Cluster): Promise<KubeResult<Observation>> {
  const labelled = await listLabelled(kube, cluster)
  if (!labelled.ok) return labelled
  const found = new Map(labelled.value.map((object) => [objectKey(object), object]))
  const wanted = ownedNames(cluster)
  const missing = wanted.filter(({ kind, name }) => !found.has(`${kind.kind} ${name}`))
  const asked = await getAll(kube, cluster, missing)
  if (!asked.ok) return asked
  const secretNames = [...new Set(cluster.users.flatMap((user) => (user.passwordSecret === undefined ? [] : [user.passwordSecret.name])))]
  const passwords = await getAll(
    kube,
    cluster,
    secretNames.map((name) => ({ kind: kinds.Secret, name })),
  )
  if (!passwords.ok) return passwords
  for (const object of asked.value) found.set(objectKey(object), object)
  return ok({
    cluster,
    ...split(
      cluster,
      wanted.flatMap(({ kind, name }) => found.get(`${kind.kind} ${name}`) ?? []),
    ),
    passwordSecrets: new Map(passwords.value.map((secret) => [secret.metadata.name, secret])),
  })
}

function split(cluster: Cluster, present: readonly KubeObject[]): Pick<Observation, 'objects' | 'foreign'> {
  const ours = present.filter((object) => belongsTo(object, cluster))
  return {
    objects: new Map(ours.map((object) => [objectKey(object), object])),
    foreign: new Set(present.filter((object) => !belongsTo(object, cluster)).map(objectKey)),
  }
}

/** By uid, not by name: a cluster that was deleted and made again owns nothing of its predecessor. */
function belongsTo(object: KubeObject, cluster: Cluster): boolean {
  return (object.metadata.ownerReferences ?? []).some((owner) => owner.controller === true && owner.uid === cluster.uid)
}

async function listLabelled(kube: Kube, cluster: Cluster): Promise<KubeResult<readonly KubeObject[]>> {
  const options = { namespace: cluster.namespace, labelSelector: `${clusterLabel}=${cluster.name}` }
  const lists = await Promise.all(Object.values(kinds).map(async (kind) => ({ kind, result: await kube.list(kind, options) })))
  const objects: KubeObject[] = []
  for (const { kind, result } of lists) {
    if (!result.ok) return result
    // Items of a list carry neither kind nor apiVersion in the real API.
    objects.push(...result.value.items.map((item) => ({ ...item, ...kind })))
  }
  return ok(objects)
}

async function getAll(
  kube: Kube,
  cluster: Cluster,
  wanted: readonly { readonly kind: Kind; readonly name: string }[],
): Promise<KubeResult<readonly KubeObject[]>> {
  const answers = await Promise.all(wanted.map(({ kind, name }) => kube.get({ ...kind, namespace: cluster.namespace, name })))
  const problem = answers.find(
    (answer): answer is { readonly ok: false; readonly problem: KubeProblem } => !answer.ok && answer.problem.code !== 'not_found',
  )
  if (problem !== undefined) return fail(problem.problem)
  return ok(answers.flatMap((answer) => (answer.ok ? [answer.value] : [])))
}
