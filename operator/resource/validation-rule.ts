// A rule that the API server checks by CEL and that we check again in memory (an object stored before a rule existed is not checked again by the API
// server). Both halves stand side by side, so that they cannot drift apart unseen; `crd.test.ts` and the API-server suite run the same cases on each.
import type { z } from 'zod'

/** `rule` is CEL over `self` (and `oldSelf` for a transition rule, which has no half in memory); `message` is what the user reads. */
export interface ValidationRule {
  readonly rule: string
  readonly message: string
}

/** The key under which a structural schema carries its CEL rules. */
export const validationsKey = 'x-kubernetes-validations'

/** Adds a CEL rule to the CRD and the same check to the parser. */
export function withRule<Schema extends z.ZodType>(
  schema: Schema,
  rule: ValidationRule,
  holds: (value: z.output<Schema>) => boolean,
): Schema {
  return withTransitionRule(schema.refine(holds, { error: rule.message, abort: true }), rule)
}

/** Adds a CEL rule about what may change; only the API server sees both the old and the new object. */
export function withTransitionRule<Schema extends z.ZodType>(schema: Schema, rule: ValidationRule): Schema {
  const meta = schema.meta() ?? {}
  const known = meta[validationsKey]
  return schema.meta({ ...meta, [validationsKey]: [...(Array.isArray(known) ? known : []), rule] })
}
