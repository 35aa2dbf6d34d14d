// Whether an object that exists still is what we want. The API server adds fields of its own (defaults, status, cluster IPs), so "equal" means: everything
// that we say is there. Two things go further: lists must have our length, and what the API treats as one value (selectors, a policy's whole spec) must be
// equal, since one more label in a selector changes what it selects.
// A field that we said before and no longer say would be missed by this; the digest annotation catches it, and server-side apply then takes it away.
import { createHash } from 'node:crypto' // a pure function of its input here
import type { DesiredObject } from '../desired/desired-object.ts'
import type { KubeObject } from '../kube/kube.ts'
import { compareQuantities } from '../resource/quantity.ts'

/** SHA-256 over what we said last, without the values of Secrets. */
export const appliedAnnotation = 'securesql.dev/applied'

// x-kubernetes-map-type: atomic.
const wholeValues = new Set(['selector', 'matchLabels', 'podSelector', 'namespaceSelector', 'labelSelector'])
// The API server writes quantities in its own spelling: 1024Mi comes back as 1Gi.
const quantityMaps = new Set(['requests', 'limits'])

/** Adds the digest. Equal objects get equal digests: our objects are made by the same code in the same order. */
export function stamped(object: DesiredObject): DesiredObject {
  const annotations = { ...object.metadata.annotations, [appliedAnnotation]: digest(object) }
  return { ...object, metadata: { ...object.metadata, annotations } }
}

/** The first place where `observed` is not what `wanted` (stamped) says, for the log; undefined when nothing needs to be written. */
export function difference(wanted: DesiredObject, observed: KubeObject): string | undefined {
  if (wanted.kind === 'NetworkPolicy')
    return differenceAt('', wanted, observed) ?? (sameJson(wanted['spec'], observed['spec']) ? undefined : 'spec')
  return differenceAt('', wanted, observed)
}

function digest(object: DesiredObject): string {
  const data = object['data']
  // A digest of a Secret's values would let whoever reads metadata alone test guesses.
  const said = object.kind === 'Secret' && isRecord(data) ? { ...object, data: Object.keys(data) } : object
  return createHash('sha256').update(JSON.stringify(said)).digest('hex').slice(0, 32)
}

function differenceAt(path: string, wanted: unknown, observed: unknown): string | undefined {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(observed) || observed.length !== wanted.length) return path
    return first(wanted.map((item, index) => differenceAt(`${path}[${index}]`, item, observed[index])))
  }
  if (!isRecord(wanted)) return wanted === observed ? undefined : path
  if (!isRecord(observed)) return path
  return first(
    Object.entries(wanted).map(([key, value]) => {
      const inner = path === '' ? key : `${path}.${key}`
      if (wholeValues.has(key)) return sameJson(value, observed[key]) ? undefined : inner
      return quantityMaps.has(key) ? quantityDifference(inner, value, observed[key]) : differenceAt(inner, value, observed[key])
    }),
  )
}

function quantityDifference(path: string, wanted: unknown, observed: unknown): string | undefined {
  if (!isRecord(wanted) || !isRecord(observed)) return path
  const differs = ([name, value]: [string, unknown]): boolean => compareQuantities(String(value), String(observed[name])) !== 0
  return Object.entries(wanted).some(differs) ? path : undefined
}

function first(places: readonly (string | undefined)[]): string | undefined {
  return places.find((place) => place !== undefined)
}

/** Equality of JSON values; the order of an object's fields does not count. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (Array.isArray(left))
    return Array.isArray(right) && left.length === right.length && left.every((item, index) => sameJson(item, right[index]))
  if (!isRecord(left) || !isRecord(right)) return left === right
  const keys = Object.keys(left)
  return keys.length === Object.keys(right).length && keys.every((key) => key in right && sameJson(left[key], right[key]))
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
