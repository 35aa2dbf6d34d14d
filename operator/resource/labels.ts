// Labels of every object of a cluster. A selector never holds anything that can change (the selector of a StatefulSet is immutable).
import type { Named } from './names.ts'

export const clusterLabel = 'securesql.dev/cluster'
const roleLabel = 'securesql.dev/role'
/** On Secrets: what it holds. */
export const secretLabel = 'securesql.dev/secret'
/** How the operator's own pods are found by the policies that let it in. */
export const operatorPodLabels = { 'app.kubernetes.io/name': 'securesql-operator' } as const
export const managedByLabel = 'app.kubernetes.io/managed-by'
export const operatorName = 'securesql-operator'
/** The operator's own user at the API: it may ask for status and readiness. */
export const operatorUser = 'securesql-operator'

export function clusterLabels(cluster: Named): Readonly<Record<string, string>> {
  return {
    'app.kubernetes.io/name': 'securesql',
    'app.kubernetes.io/instance': cluster.name,
    'app.kubernetes.io/part-of': 'securesql',
    [managedByLabel]: operatorName,
    [clusterLabel]: cluster.name,
  }
}

/** Selects every member, whatever its role: for policies and Services. Only members carry the role label. */
export function memberSelector(cluster: Named): Readonly<Record<string, string>> {
  return { [clusterLabel]: cluster.name, 'app.kubernetes.io/component': 'node' }
}

/** Selects the voters: for their StatefulSet and their disruption budget. */
export function voterSelector(cluster: Named): Readonly<Record<string, string>> {
  return { ...memberSelector(cluster), [roleLabel]: 'voter' }
}

/** `a=b,c=d`, as the API and the scale subresource want it. */
export function selectorText(selector: Readonly<Record<string, string>>): string {
  return Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}
