// Which fields a manager owns: a tree of field names and list keys, as in metadata.managedFields. A leaf is a scalar, an atomic list or an atomic object.
// A list of paths would be the obvious shape; the tree follows the object, so that merge, removal and conflict are one walk each.
import { isJsonObject, jsonEqual } from './json-object.ts'
import type { JsonObject } from './json-object.ts'
import { isAtomicObject, itemsByKey } from './list-keys.ts'

/** Children by `.field` or `[key]`; a leaf has none. */
export interface Owned {
  readonly children: ReadonlyMap<string, Owned>
}

const leaf: Owned = { children: new Map() }

/** Everything that `value`, found under `field`, claims. */
export function ownedBy(field: string, value: unknown): Owned {
  const parts = partsOf(field, value)
  if (parts === undefined) return leaf
  return { children: new Map([...parts].map(([segment, part]) => [segment, ownedBy(nameOf(segment, field), part)])) }
}

/** `live` with all of `applied` laid over it. */
export function mergeApplied(field: string, live: unknown, applied: unknown): unknown {
  if (Array.isArray(applied)) {
    const wanted = itemsByKey(field, applied)
    const present = Array.isArray(live) ? itemsByKey(field, live) : undefined
    if (applied.length === 0 && present !== undefined) return live
    if (wanted === undefined || present === undefined) return applied
    const kept = [...present].map(([key, item]) => (wanted.has(key) ? mergeApplied(field, item, wanted.get(key)) : item))
    return [...kept, ...[...wanted].filter(([key]) => !present.has(key)).map(([, item]) => item)]
  }
  if (!isJsonObject(applied) || !isJsonObject(live) || isAtomicObject(field)) return applied
  const merged: Record<string, unknown> = { ...live }
  for (const [name, value] of Object.entries(applied)) merged[name] = mergeApplied(name, live[name], value)
  return merged
}

/** `value` without what `before` owned and none of `keepers` owns any more; undefined when nothing of it is left and nobody asked for it to be there empty. */
export function removeDropped(field: string, value: unknown, before: Owned, keepers: readonly Owned[]): unknown {
  const parts = partsOf(field, value)
  if (parts === undefined) return value
  const left = new Map<string, unknown>(parts)
  for (const [segment, owned] of before.children) {
    const part = parts.get(segment)
    if (part === undefined) continue
    const next = droppedPart(segment, field, part, owned, childrenAt(keepers, segment))
    if (next === undefined) left.delete(segment)
    else left.set(segment, next)
  }
  if (left.size === 0 && keepers.length === 0) return undefined
  return Array.isArray(value) ? [...left.values()] : Object.fromEntries([...left].map(([segment, part]) => [segment.slice(1), part]))
}

function droppedPart(segment: string, field: string, part: unknown, owned: Owned, keepers: readonly Owned[]): unknown {
  const wholeItem = segment.startsWith('[')
  if (keepers.length === 0 && (wholeItem || owned.children.size === 0)) return undefined
  return owned.children.size === 0 ? part : removeDropped(nameOf(segment, field), part, owned, keepers)
}

/** `owned` without the fields that `applied` gives a value other than the live one: a forced apply takes them over. Equal values are owned by both. */
export function withoutTaken(field: string, owned: Owned, live: unknown, applied: unknown): Owned {
  const liveParts = partsOf(field, live)
  const appliedParts = partsOf(field, applied)
  const children = new Map<string, Owned>()
  for (const [segment, child] of owned.children) {
    const appliedPart = appliedParts?.get(segment)
    if (appliedPart === undefined) children.set(segment, child)
    else if (child.children.size > 0) {
      const rest = withoutTaken(nameOf(segment, field), child, liveParts?.get(segment), appliedPart)
      if (rest.children.size > 0) children.set(segment, rest)
    } else if (jsonEqual(liveParts?.get(segment), appliedPart)) children.set(segment, child)
  }
  return { children }
}

/** What of `next` differs from `live`: an update (PUT) owns just that. */
export function changedFields(field: string, live: unknown, next: unknown): Owned {
  const nextParts = partsOf(field, next)
  if (nextParts === undefined) return leaf
  const liveParts = partsOf(field, live)
  const children = new Map<string, Owned>()
  for (const [segment, part] of nextParts) {
    if (!jsonEqual(liveParts?.get(segment), part))
      children.set(segment, changedFields(nameOf(segment, field), liveParts?.get(segment), part))
  }
  return { children }
}

/** `owned` cut down to what still exists in `value`. */
export function stillThere(field: string, owned: Owned, value: unknown): Owned {
  const parts = partsOf(field, value)
  const children = new Map<string, Owned>()
  for (const [segment, child] of owned.children) {
    if (parts?.has(segment) !== true) continue
    children.set(segment, child.children.size === 0 ? child : stillThere(nameOf(segment, field), child, parts.get(segment)))
  }
  return { children }
}

export function union(left: Owned, right: Owned): Owned {
  const children = new Map(left.children)
  for (const [segment, child] of right.children) {
    const present = children.get(segment)
    children.set(segment, present === undefined ? child : union(present, child))
  }
  return { children }
}

/** The granular parts of a value by segment; undefined for scalars and for everything atomic. */
function partsOf(field: string, value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (Array.isArray(value)) {
    const items = itemsByKey(field, value)
    return items === undefined ? undefined : new Map([...items].map(([key, item]) => [`[${key}`, item]))
  }
  if (!isJsonObject(value) || isAtomicObject(field) || Object.keys(value).length === 0) return undefined
  return new Map(Object.entries(value satisfies JsonObject).map(([name, part]) => [`.${name}`, part]))
}

function childrenAt(owners: readonly Owned[], segment: string): readonly Owned[] {
  return owners.flatMap((owner) => owner.children.get(segment) ?? [])
}

/** The field that rules apply to: an item of a list has the list's. */
function nameOf(segment: string, field: string): string {
  return segment.startsWith('.') ? segment.slice(1) : field
}
