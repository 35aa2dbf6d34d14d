import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { request } from 'node:https'
import { readFileSync } from 'node:fs'
import { suiteControlPlane } from './suite-control-plane.ts'
import { waitUntil } from './wait-until.ts'

const controlPlane = suiteControlPlane()
const { admin } = controlPlane
const namespace = 'control-plane-smoke'

before(() => controlPlane.newNamespace(namespace))
after(() => admin.run(['delete', 'namespace', namespace, '--wait=false']))

test('kubectl and the API server state the same version, so that helm can judge a chart by it', async () => {
  const version = JSON.parse(await admin.run(['version', '--output=json'])) as {
    clientVersion: { gitVersion: string }
    serverVersion: { gitVersion: string }
  }
  assert.match(version.serverVersion.gitVersion, /^v1\.34\.\d+$/)
  assert.equal(version.clientVersion.gitVersion, version.serverVersion.gitVersion)
})

test('the API server refuses a caller without credentials', async () => {
  const call = request(`${controlPlane.server}/api/v1/namespaces`, { ca: readFileSync(controlPlane.authorityFile) }).end()
  const [response] = (await once(call, 'response')) as [{ statusCode: number; resume(): void }]
  response.resume()
  assert.equal(response.statusCode, 403)
})

test('a ServiceAccount without a role may do nothing, and is known by its own name', async () => {
  const { kubectl } = await controlPlane.asServiceAccount(namespace, 'default')
  const { exitCode, stderr } = await kubectl.attempt(['get', 'secrets', '--namespace', namespace])
  assert.equal(exitCode, 1)
  assert.match(stderr, new RegExp(`User "system:serviceaccount:${namespace}:default" cannot list resource "secrets"`))
})

test('the controllers run: a StatefulSet gets its pod, and deleting it removes the pod', async () => {
  const pods = async (): Promise<string> => (await admin.run(['get', 'pods', '--namespace', namespace, '--output=name'])).trim()
  await admin.run(['apply', '--server-side', '--filename=-'], JSON.stringify(smokeStatefulSet))
  await waitUntil({ what: 'pod of the StatefulSet', deadlineMs: 240_000 }, async () =>
    (await pods()) === 'pod/smoke-0' ? true : undefined,
  )
  await admin.run(['delete', 'statefulset', 'smoke', '--namespace', namespace])
  await waitUntil({ what: 'garbage collection of the pod', deadlineMs: 240_000 }, async () => ((await pods()) === '' ? true : undefined))
})

test('Pod Security admission refuses a privileged pod where the namespace says restricted', async () => {
  await admin.run(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted'])
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'loose', namespace },
    spec: { containers: [{ name: 'loose', image: 'loose' }] },
  }
  const { exitCode, stderr } = await admin.attempt(['apply', '--server-side', '--filename=-'], JSON.stringify(pod))
  assert.equal(exitCode, 1)
  assert.match(stderr, /violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false/)
})

const smokeStatefulSet = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'smoke', namespace },
  spec: {
    serviceName: 'smoke',
    replicas: 1,
    selector: { matchLabels: { app: 'smoke' } },
    template: { metadata: { labels: { app: 'smoke' } }, spec: { containers: [{ name: 'smoke', image: 'smoke' }] } },
  },
}
