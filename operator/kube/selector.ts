// Equality-based label selectors and the one field selector that we use, as the API server reads them (`a=b,c=d`; `metadata.name=x`).
import assert from 'node:assert/strict'
import type { KubeObject, ListOptions } from './kube.ts'

export type Selects = (object: KubeObject) => boolean

/** The question that list and watch ask of every object. A selector of another form is a bug of the caller. */
export function selects(options: ListOptions): Selects {
  const labels = requirements(options.labelSelector)
  const fields = requirements(options.fieldSelector)
  for (const [field] of fields) assert.equal(field, 'metadata.name', 'metadata.name is the only field selector that we use')
  return (object) =>
    (options.namespace === undefined || object.metadata.namespace === options.namespace) &&
    labels.every(([label, value]) => object.metadata.labels?.[label] === value) &&
    fields.every(([, name]) => object.metadata.name === name)
}

function requirements(selector: string | undefined): readonly (readonly [string, string])[] {
  if (selector === undefined || selector === '') return []
  return selector.split(',').map((requirement) => {
    const [name, value, ...more] = requirement.split('=')
    assert(name !== undefined && name !== '' && value !== undefined && more.length === 0, `not an equality selector: ${requirement}`)
    return [name, value] as const
  })
}
