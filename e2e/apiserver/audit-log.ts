// What the API server says that a ServiceAccount has asked for, and how that compares with the rules that it was given. The obvious alternative, reading the operator's
// source for calls, would miss what a library does and what an apply needs besides `patch`.
import { readFileSync } from 'node:fs'

/** As RBAC writes it: `patch statefulsets.apps`, `get securesqlclusters.securesql.dev/status`. */
export type Right = string

export interface AuditedCall {
  readonly right: Right
  readonly namespace: string | undefined
  /** What authentication and RBAC decided. An allowed call can still be answered 403: by admission, in a namespace that is being deleted. */
  readonly isAuthorized: boolean
}

export interface RbacRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

interface AuditEvent {
  readonly stage: string
  readonly verb: string
  readonly user: { readonly username: string }
  readonly objectRef?: { readonly apiGroup?: string; readonly resource: string; readonly subresource?: string; readonly namespace?: string }
  readonly responseStatus?: { readonly code?: number }
  readonly annotations?: { readonly 'authorization.k8s.io/decision'?: string }
}

/** All calls of that ServiceAccount to resources until now, in order. An apply that made its object counts as `create` too: RBAC asks for both. */
export function callsOf(auditLog: string, namespace: string, serviceAccount: string): readonly AuditedCall[] {
  const username = `system:serviceaccount:${namespace}:${serviceAccount}`
  return readFileSync(auditLog, 'utf8')
    .split('\n')
    .filter((line) => line.includes(username) && line.endsWith('}'))
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter((event) => event.user.username === username)
    .flatMap(toCalls)
}

export function rightsIn(rules: readonly RbacRule[]): ReadonlySet<Right> {
  return new Set(
    rules.flatMap((rule) =>
      rule.apiGroups.flatMap((group) => rule.resources.flatMap((resource) => rule.verbs.map((verb) => right(verb, resource, group)))),
    ),
  )
}

function toCalls({ verb, objectRef, responseStatus, annotations }: AuditEvent): readonly AuditedCall[] {
  if (objectRef === undefined) return []
  const { apiGroup = '', resource, subresource, namespace } = objectRef
  const path = subresource === undefined ? resource : `${resource}/${subresource}`
  const isAuthorized = annotations?.['authorization.k8s.io/decision'] === 'allow'
  const call = { right: right(verb, path, apiGroup), namespace, isAuthorized }
  return verb === 'patch' && responseStatus?.code === 201 ? [call, { ...call, right: right('create', path, apiGroup) }] : [call]
}

function right(verb: string, path: string, group: string): Right {
  const [resource = '', subresource] = path.split('/')
  return `${verb} ${resource}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`
}
