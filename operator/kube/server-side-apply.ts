// Server-side apply as the API server does it (kubernetes.io/docs/reference/using-api/server-side-apply), for the in-memory twin. PURE.
// An apply says everything that its manager wants: what it said last time and no longer says is removed, unless another manager owns it too.
import { changedFields, mergeApplied, ownedBy, removeDropped, stillThere, union, withoutTaken } from './field-ownership.ts'
import type { Owned } from './field-ownership.ts'
import { isJsonObject } from './json-object.ts'
import type { JsonObject } from './json-object.ts'

/** Owned fields by manager; the same manager has one entry for an object and one for its status. */
export type Managers = ReadonlyMap<string, Owned>

export interface Managed {
  readonly object: JsonObject
  readonly managers: Managers
}

const nothing: Owned = { children: new Map() }

/** `object` after `manager` applied `wanted`, always forced. Identity (apiVersion, kind, name, namespace) is owned by nobody and stays. */
export function applyFields(live: Managed, wanted: JsonObject, manager: string): Managed {
  const claims = withoutIdentity(wanted)
  const owned = ownedBy('', claims)
  const others = new Map([...live.managers].filter(([name]) => name !== manager))
  const merged = mergeApplied('', live.object, claims)
  const object = removeDropped('', merged, live.managers.get(manager) ?? nothing, [owned, ...others.values()])
  const managers = new Map<string, Owned>()
  for (const [name, theirs] of others) keep(managers, name, withoutTaken('', theirs, live.object, claims))
  keep(managers, manager, owned)
  return { object: isJsonObject(object) ? object : {}, managers }
}

/** `next` in the place of `live` (create, update): `manager` owns what changed, and what is gone belongs to nobody. */
export function replaceFields(live: Managed, next: JsonObject, manager: string): Managed {
  const claims = withoutIdentity(next)
  const managers = new Map<string, Owned>()
  for (const [name, theirs] of live.managers)
    if (name !== manager) keep(managers, name, stillThere('', withoutTaken('', theirs, live.object, claims), claims))
  const before = stillThere('', live.managers.get(manager) ?? nothing, claims)
  keep(managers, manager, union(before, changedFields('', withoutIdentity(live.object), claims)))
  return { object: next, managers }
}

function keep(managers: Map<string, Owned>, name: string, owned: Owned): void {
  if (owned.children.size > 0) managers.set(name, owned)
}

/** Without what nobody manages: identity, and the metadata that only the API server writes. */
function withoutIdentity(object: JsonObject): JsonObject {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = object
  if (!isJsonObject(metadata)) return rest
  const managed = Object.fromEntries(Object.entries(metadata).filter(([field]) => managedMetadata.has(field)))
  return Object.keys(managed).length === 0 ? rest : { ...rest, metadata: managed }
}

const managedMetadata = new Set(['labels', 'annotations', 'ownerReferences', 'finalizers'])
