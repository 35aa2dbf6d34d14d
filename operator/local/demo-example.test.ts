import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readExample } from './demo-example.ts'

test('every document becomes an object in the namespace, with stringData as data', () => {
  const yaml = `
apiVersion: v1
kind: Secret
metadata: { name: a }
data: { one: MQ== }
stringData: { two: "2" }
---
# nothing but a comment
---
apiVersion: v1
kind: Service
metadata: { name: b, namespace: other }
`
  assert.deepEqual(readExample(yaml, 'default'), [
    { apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'default', name: 'a' }, data: { one: 'MQ==', two: 'Mg==' } },
    { apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'other', name: 'b' } },
  ])
})

test('a file that is no YAML, or a document that is no object, is refused', () => {
  assert.throws(() => readExample('a: [1', 'default'))
  assert.throws(() => readExample('- 1', 'default'), /no Kubernetes object/)
})
