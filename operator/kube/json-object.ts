// Kubernetes objects are plain JSON; these few questions are asked of any part of one.

export type JsonObject = { readonly [field: string]: unknown }

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object under `field`, or an empty one: absent and malformed parts of a Kubernetes object read alike. */
export function objectAt(value: unknown, field: string): JsonObject {
  const child = isJsonObject(value) ? value[field] : undefined
  return isJsonObject(child) ? child : {}
}

/** The list under `field`, or an empty one. */
export function listAt(value: unknown, field: string): readonly unknown[] {
  const child = isJsonObject(value) ? value[field] : undefined
  return Array.isArray(child) ? child : []
}

export function textAt(value: unknown, field: string): string | undefined {
  const child = isJsonObject(value) ? value[field] : undefined
  return typeof child === 'string' ? child : undefined
}

export function numberAt(value: unknown, field: string): number | undefined {
  const child = isJsonObject(value) ? value[field] : undefined
  return typeof child === 'number' ? child : undefined
}

/** Equality of JSON values: the order of an object's fields does not count, the order of a list does. */
export function jsonEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (Array.isArray(left))
    return Array.isArray(right) && left.length === right.length && left.every((item, at) => jsonEqual(item, right[at]))
  if (!isJsonObject(left) || !isJsonObject(right)) return false
  const fields = Object.keys(left)
  return fields.length === Object.keys(right).length && fields.every((field) => field in right && jsonEqual(left[field], right[field]))
}

/** What would arrive after a trip over the wire: a copy without undefined fields. */
export function jsonCopy<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value
}
