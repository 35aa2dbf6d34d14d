import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { crdName, customResourceDefinition, customResourceDefinitionYaml } from './crd.ts'
import { conditionReasons, conditionTypes } from './conditions.ts'

// Helm's and kubectl's limits are far above; what embeds other APIs' types is not.
const crdBytesMax = 150_000
const root = join(import.meta.dirname, '..', '..')

type Json = Record<string, unknown>
const schemaOf = (): Json => customResourceDefinition().spec.versions[0]!.schema.openAPIV3Schema

function walk(schema: Json, path: string, visit: (schema: Json, path: string) => void): void {
  visit(schema, path)
  for (const [name, part] of Object.entries((schema['properties'] ?? {}) as Json)) walk(part as Json, `${path}.${name}`, visit)
  for (const key of ['items', 'additionalProperties']) if (typeof schema[key] === 'object') walk(schema[key] as Json, `${path}[]`, visit)
}

test('both copies of the CRD are up to date with the schema', () => {
  for (const place of [['crds'], ['helm', 'securesql', 'files']])
    assert.equal(
      readFileSync(join(root, ...place, `${crdName}.yaml`), 'utf8'),
      customResourceDefinitionYaml(),
      `run npm run crds (${place.join('/')})`,
    )
})

test('the CRD is small enough for every tool', () => {
  assert.ok(customResourceDefinitionYaml().length < crdBytesMax)
})

test('the schema is structural: a type everywhere, no logic outside of the allowed forms', () => {
  walk(schemaOf(), '', (schema, path) => {
    if (schema['x-kubernetes-int-or-string'] === true) {
      assert.deepEqual(schema['anyOf'], [{ type: 'integer' }, { type: 'string' }], path)
      assert.equal('type' in schema, false, path)
      return
    }
    assert.equal(typeof schema['type'], 'string', `${path} has no type`)
    for (const word of ['anyOf', 'oneOf', 'allOf', 'not', '$ref', '$defs', '$schema', 'const', 'definitions', 'propertyNames'])
      assert.equal(word in schema, false, `${path} has ${word}`)
    assert.notEqual(schema['additionalProperties'], false, path)
    if (schema['properties'] !== undefined) assert.equal('additionalProperties' in schema, false, path)
    assert.notEqual(schema['maximum'], Number.MAX_SAFE_INTEGER, path)
  })
})

test('every field of the spec says what it is for', () => {
  const spec = (schemaOf()['properties'] as Json)['spec'] as Json
  walk(spec, 'spec', (schema, path) => {
    for (const [name, part] of Object.entries((schema['properties'] ?? {}) as Json))
      assert.equal(typeof (part as Json)['description'], 'string', `${path}.${name} has no description`)
  })
})

test('every list and every map has a limit, so that CEL rules have a bounded cost', () => {
  const spec = (schemaOf()['properties'] as Json)['spec'] as Json
  walk(spec, 'spec', (schema, path) => {
    if (schema['type'] === 'array') assert.equal(typeof schema['maxItems'], 'number', path)
    if (schema['type'] === 'object' && 'additionalProperties' in schema) assert.equal(typeof schema['maxProperties'], 'number', path)
    if (schema['type'] === 'array') assert.ok(schema['x-kubernetes-list-type'], `${path} has no list type`)
    if (schema['type'] === 'string' && schema['enum'] === undefined) assert.equal(typeof schema['maxLength'], 'number', path)
  })
})

test('defaults stand at object level only: a default inside of a list makes GitOps tools see drift', () => {
  walk(schemaOf(), '', (schema, path) => {
    if ('default' in schema) assert.equal(path.includes('[]'), false, path)
  })
})

test('status and scale are subresources, and the columns are those that the documents promise', () => {
  const version = customResourceDefinition().spec.versions[0]!
  assert.deepEqual(Object.keys(version.subresources), ['status', 'scale'])
  assert.deepEqual(
    version.additionalPrinterColumns.map((column) => [column.name, column.priority ?? 0]),
    [
      ['Ready', 0],
      ['Replicas', 0],
      ['Leader', 0],
      ['Age', 0],
      ['Endpoint', 1],
      ['Cert-Expiry', 1],
    ],
  )
})

test('reasons are single words in CamelCase, as the API conventions ask', () => {
  for (const type of conditionTypes) for (const reason of Object.keys(conditionReasons[type])) assert.match(reason, /^[A-Z][A-Za-z]+$/)
})
