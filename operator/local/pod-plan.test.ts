import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../kube/json-object.ts'
import type { KubeObject } from '../kube/kube.ts'
import { planPod } from './pod-plan.ts'

function podWith(container: JsonObject, spec: JsonObject = {}): KubeObject {
  const metadata = { namespace: 'shop', name: 'orders-0', uid: 'u-1' }
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'node', image: 'i', ...container }], ...spec } }
}

test('a probe has the defaults of Kubernetes where a field is absent, and may name its port', () => {
  const container = {
    ports: [{ name: 'https', containerPort: 4001 }],
    readinessProbe: { httpGet: { port: 'https', scheme: 'HTTPS', path: '/readyz' } },
  }
  const planned = planPod(podWith(container))
  assert.ok(planned.ok)
  assert.deepEqual(planned.value.container.readiness, {
    scheme: 'https',
    port: 4001,
    path: '/readyz',
    initialDelayMs: 0,
    periodMs: 10_000,
    timeoutMs: 1_000,
    successThreshold: 1,
    failureThreshold: 3,
  })
})

test('Secrets of a volume are read plain and projected, with their items', () => {
  const volumes = [
    { name: 'plain', secret: { secretName: 'a' } },
    {
      name: 'both',
      projected: { sources: [{ secret: { name: 'b', items: [{ key: 'k', path: 'p' }] } }, { secret: { name: 'c', optional: true } }] },
    },
  ]
  const planned = planPod(podWith({}, { volumes }))
  assert.ok(planned.ok)
  assert.deepEqual(planned.value.volumes, [
    { kind: 'secret', name: 'plain', sources: [{ secret: 'a', optional: false, items: undefined }] },
    {
      kind: 'secret',
      name: 'both',
      sources: [
        { secret: 'b', optional: false, items: [{ key: 'k', path: 'p' }] },
        { secret: 'c', optional: true, items: undefined },
      ],
    },
  ])
})

const unsupported: readonly (readonly [string, JsonObject, JsonObject])[] = [
  ['a second container', {}, { containers: [{}, {}] }],
  ['an init container', {}, { initContainers: [{}] }],
  ['a variable from a Secret', { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'a', key: 'b' } } }] }, {}],
  ['envFrom', { envFrom: [{}] }, {}],
  ['a probe that runs a command', { livenessProbe: { exec: { command: ['true'] } } }, {}],
  ['a lifecycle hook', { lifecycle: {} }, {}],
  ['a claim that climbs out of its folder', {}, { volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'x/../../../victim' } }] }],
  ['a volume that climbs out of its folder', {}, { volumes: [{ name: 'x/../../../victim', emptyDir: {} }] }],
  ['a subPath that climbs out of its volume', { volumeMounts: [{ name: 'd', mountPath: '/d', subPath: 'x/../../../victim' }] }, {}],
  ['a subPath from the root', { volumeMounts: [{ name: 'd', mountPath: '/d', subPath: '/victim' }] }, {}],
  ['a volume of the host', {}, { volumes: [{ name: 'h', hostPath: { path: '/' } }] }],
]
for (const [what, container, spec] of unsupported) {
  test(`${what} is refused by name, not left out`, () => {
    const planned = planPod(podWith(container, spec))
    assert.equal(planned.ok ? 'ran' : planned.problem.code, 'unsupported_pod')
  })
}
