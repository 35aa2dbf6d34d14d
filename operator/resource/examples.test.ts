import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { describeIssues, parseCluster } from './parse-cluster.ts'
import { clusterKind } from './resource-kind.ts'

const folder = join(import.meta.dirname, '..', '..', 'examples')
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'))

interface Document {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly stringData?: Readonly<Record<string, string>>
}

test('there are examples', () => {
  for (const file of ['single.yaml', 'three-nodes.yaml', 'users.yaml', 'network.yaml']) assert.ok(files.includes(file), file)
})

for (const file of files) {
  test(`examples/${file} is one that the operator accepts, with every Secret that it names`, () => {
    const documents = parseAllDocuments(readFileSync(join(folder, file), 'utf8'), { uniqueKeys: true }).map((document) => {
      assert.deepEqual(document.errors, [])
      return document.toJS() as Document
    })
    const clusters = documents.filter((document) => document.kind === clusterKind.kind)
    assert.ok(clusters.length > 0)
    for (const cluster of clusters) {
      const parsed = parseCluster({ ...cluster, metadata: { ...cluster.metadata, namespace: 'default', uid: 'u', generation: 1 } })
      assert.ok(parsed.ok, parsed.ok ? '' : describeIssues(parsed.problem))
      for (const { passwordSecret } of parsed.value.users) {
        if (passwordSecret === undefined) continue
        const secret = documents.find((document) => document.kind === 'Secret' && document.metadata.name === passwordSecret.name)
        assert.match(
          secret?.stringData?.[passwordSecret.key] ?? '',
          /^replace-this-example-/,
          `${passwordSecret.name} must be there and say that it is an example`,
        )
      }
    }
  })
}
