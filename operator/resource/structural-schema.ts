// From the OpenAPI of zod to a *structural* schema, the dialect that a CRD must be written in
// (Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions", specifying a structural schema).

type Json = Readonly<Record<string, unknown>>

// zod writes the limits of a safe integer where the schema has none.
const safeIntegerMax = 2 ** 53 - 1
// Words of JSON Schema that a structural schema may not hold, or that say nothing there.
const dropped = new Set(['$schema', 'id', '~standard'])

/** Keeps what the API server understands and rewrites the rest: unknown fields are pruned or refused by it anyway, so `additionalProperties: false` goes. */
export function structuralSchema(schema: Json): Json {
  if (schema['x-kubernetes-int-or-string'] === true) return intOrString(schema)
  const result: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    if (dropped.has(key) || isEmptyLimit(key, value)) continue
    if (key === 'additionalProperties' && value === false) continue
    if (key === 'pattern' && schema['format'] === 'date-time') continue // the API server checks the format itself
    result[key] = convert(key, value)
  }
  return result
}

function intOrString(schema: Json): Json {
  const { anyOf: _, ...rest } = schema
  return { ...rest, anyOf: [{ type: 'integer' }, { type: 'string' }] }
}

function isEmptyLimit(key: string, value: unknown): boolean {
  return (key === 'maximum' && value === safeIntegerMax) || (key === 'minimum' && value === -safeIntegerMax)
}

function convert(key: string, value: unknown): unknown {
  if (key === 'properties' && isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, isObject(part) ? structuralSchema(part) : part]))
  if ((key === 'items' || key === 'additionalProperties') && isObject(value)) return structuralSchema(value)
  return value
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
