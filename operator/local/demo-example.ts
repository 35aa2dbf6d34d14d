// Objects of a YAML file, as `kubectl apply` would send them: several documents, the namespace filled in, `stringData` as data.
import assert from 'node:assert/strict'
import { parseAllDocuments } from 'yaml'
import { isJsonObject, objectAt } from '../kube/json-object.ts'
import type { KubeObject } from '../kube/kube.ts'

export function readExample(yaml: string, namespace: string): readonly KubeObject[] {
  const objects: KubeObject[] = []
  for (const document of parseAllDocuments(yaml)) {
    const [error] = document.errors
    if (error !== undefined) throw error
    const value: unknown = document.toJS()
    if (value !== null) objects.push(objectOf(value, namespace))
  }
  return objects
}

function objectOf(value: unknown, namespace: string): KubeObject {
  assert(
    isJsonObject(value) && typeof value['kind'] === 'string' && typeof value['apiVersion'] === 'string',
    'a document that is no Kubernetes object',
  )
  const { stringData: _stringData, ...rest } = value
  const texts = Object.entries(objectAt(value, 'stringData')).map(([key, text]) => [key, Buffer.from(String(text)).toString('base64')])
  const data = texts.length === 0 ? {} : { data: { ...objectAt(value, 'data'), ...Object.fromEntries(texts) } }
  return { ...rest, ...data, metadata: { namespace, ...objectAt(value, 'metadata') } } as unknown as KubeObject
}
