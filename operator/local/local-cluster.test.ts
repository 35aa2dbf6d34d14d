import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { must, refused, secret } from '../kube/kube-contract-objects.ts'
import type { Admit } from '../kube/memory-kube.ts'
import { LocalCluster } from './local-cluster.ts'
import type { LocalClusterOptions } from './local-cluster.ts'

function optionsFor(t: TestContext, more: Partial<LocalClusterOptions> = {}): LocalClusterOptions {
  const folder = join(mkdtempSync(join(tmpdir(), 'securesql-local-')), 'cluster')
  t.after(() => rmSync(join(folder, '..'), { recursive: true, force: true }))
  const startOperator = async (): Promise<{ close(): Promise<void> }> => ({ close: async () => {} })
  return { folder, mode: 'one-address', images: () => undefined, baseEnv: {}, log: pino({ enabled: false }), startOperator, ...more }
}

test('a run on the folder of a former one gives pods the same addresses', async (t) => {
  const options = optionsFor(t)
  const pod = { namespace: 'shop', name: 'orders-0' }
  const first = await LocalCluster.start(options)
  const endpoint = await first.addresses.endpoint(pod, 4001)
  await first.close()
  const second = await LocalCluster.start(options)
  assert.deepEqual(await second.addresses.endpoint(pod, 4001), endpoint)
  await second.close()
  assert.equal(statSync(options.folder).mode & 0o777, 0o700)
  assert.equal(statSync(join(options.folder, 'addresses.json')).mode & 0o777, 0o600)
})

test('the operator is given the API server and the addresses, and ends before anything else does', async (t) => {
  const ended: string[] = []
  const options = optionsFor(t)
  const startOperator: LocalClusterOptions['startOperator'] = async ({ kube }) => {
    must(await kube.apply(secret({ namespace: 'shop', name: 'a' }, {}), 'operator'))
    return {
      close: async () => {
        // The pods' controller still works: what the operator does last is carried out.
        must(await kube.apply({ ...statefulSet, metadata: { namespace: 'shop', name: 'last' } }, 'operator'))
        ended.push('operator')
      },
    }
  }
  const cluster = await LocalCluster.start({ ...options, startOperator })
  must(await cluster.kube.get({ apiVersion: 'v1', kind: 'Secret', namespace: 'shop', name: 'a' }))
  await cluster.close()
  assert.deepEqual(ended, ['operator'])
})

const statefulSet = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: 'a' } },
    template: { metadata: { labels: { app: 'a' } }, spec: { containers: [] } },
  },
} as const

test('what the schema refuses is not stored', async (t) => {
  const admit: Admit = (object) =>
    object.kind === 'SecureSqlCluster'
      ? { ok: false, problem: { code: 'invalid', message: 'spec: required' } }
      : { ok: true, value: object }
  const cluster = await LocalCluster.start(optionsFor(t, { admit }))
  const resource = { apiVersion: 'securesql.dev/v1alpha1', kind: 'SecureSqlCluster', metadata: { namespace: 'shop', name: 'orders' } }
  refused(await cluster.kube.apply(resource, 'kubectl'), 'invalid')
  refused(await cluster.kube.get({ apiVersion: resource.apiVersion, kind: resource.kind, ...resource.metadata }), 'not_found')
  await cluster.close()
})

test('an address book that is damaged stops the start instead of moving a cluster to other addresses', async (t) => {
  const options = optionsFor(t)
  await (await LocalCluster.start(options)).close()
  const file = join(options.folder, 'addresses.json')
  assert.ok(existsSync(file))
  const { writeFileSync } = await import('node:fs')
  writeFileSync(file, readFileSync(file, 'utf8').slice(0, 5))
  await assert.rejects(LocalCluster.start(options), SyntaxError)
})
