// Which lists of Kubernetes objects are merged item by item in a server-side apply, and by which fields an item is recognised
// (kubernetes.io/docs/reference/using-api/server-side-apply, "Merge strategy"). The real API server reads this from each kind's schema; the twin knows the
// lists that our objects have. Every list that is not named here is atomic: whoever applies it owns it as a whole.
import { isJsonObject } from './json-object.ts'
import type { JsonObject } from './json-object.ts'

const keysByField: Readonly<Record<string, readonly (readonly string[])[]>> = {
  conditions: [['type']],
  containers: [['name']],
  initContainers: [['name']],
  env: [['name']],
  volumes: [['name']],
  users: [['name']],
  members: [['name']],
  imagePullSecrets: [['name']],
  volumeMounts: [['mountPath']],
  // A container's ports, then a Service's.
  ports: [
    ['containerPort', 'protocol'],
    ['port', 'protocol'],
  ],
  topologySpreadConstraints: [['topologyKey', 'whenUnsatisfiable']],
  ownerReferences: [['uid']],
  podIPs: [['ip']],
}

/** The API server's own default for a missing key field. */
const keyDefaults: Readonly<Record<string, string>> = { protocol: 'TCP' }

/** Objects that are replaced as a whole although they look like maps (`x-kubernetes-map-type: atomic`). */
const atomicObjects = new Set([
  'selector',
  'nodeSelector',
  'labelSelector',
  'podSelector',
  'namespaceSelector',
  'fieldRef',
  'secretKeyRef',
  'configMapKeyRef',
  'involvedObject',
])

/** The items of a list that is merged by key, each under its key; undefined when the list is atomic. A repeated key makes the whole list atomic. */
export function itemsByKey(field: string, list: readonly unknown[]): ReadonlyMap<string, JsonObject> | undefined {
  for (const keys of keysByField[field] ?? []) {
    const items = new Map<string, JsonObject>()
    for (const item of list) {
      const key = isJsonObject(item) ? keyOf(item, keys) : undefined
      if (key !== undefined && isJsonObject(item)) items.set(key, item)
    }
    if (items.size === list.length && list.length > 0) return items
  }
  return undefined
}

export function isAtomicObject(field: string): boolean {
  return atomicObjects.has(field)
}

function keyOf(item: JsonObject, keys: readonly string[]): string | undefined {
  const values: Record<string, unknown> = {}
  for (const key of keys) {
    const value = item[key] ?? keyDefaults[key]
    if (value === undefined) return undefined
    values[key] = value
  }
  return JSON.stringify(values)
}
