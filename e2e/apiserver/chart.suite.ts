import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import { chartFolder, helm, only, renderChart, type ChartObject } from './chart.ts'
import { suiteControlPlane } from './suite-control-plane.ts'

const controlPlane = suiteControlPlane()
const release = { name: 'securesql', namespace: 'chart-suite' }
const runHelm = (...args: string[]) => helm(controlPlane.helm, controlPlane.folder, args)
const render = (...settings: string[]) => renderChart(controlPlane.helm, controlPlane.folder, release, settings)

interface PolicyRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> }
  readonly spec: {
    readonly serviceAccountName: string
    readonly automountServiceAccountToken: boolean
    readonly containers: readonly {
      readonly image: string
      readonly args: readonly string[]
      readonly env?: unknown
      readonly resources: Readonly<Record<string, unknown>>
      readonly [field: string]: unknown
    }[]
    readonly [field: string]: unknown
  }
}

before(() => controlPlane.newNamespace(release.namespace, { 'pod-security.kubernetes.io/enforce': 'restricted' }))
after(() => controlPlane.admin.run(['delete', 'namespace', release.namespace, '--wait=false']))

test('helm lints the chart strictly without a warning', async () => {
  const { exitCode, stdout, stderr } = await runHelm('lint', '--strict', chartFolder)
  assert.equal(exitCode, 0, stdout + stderr)
  assert.doesNotMatch(stdout, /\[(WARNING|ERROR)\]/)
})

test('every rendered object is accepted by the API server under strict validation', async () => {
  for (const object of await render()) {
    const args = ['apply', '--server-side', '--dry-run=server', '--validate=strict', '--filename=-']
    await controlPlane.admin.run(args, JSON.stringify(object))
  }
})

test('the chart renders these kinds and no other', async () => {
  const kinds = (await render()).map((object) => object.kind).sort()
  assert.deepEqual(kinds, [
    'ClusterRole',
    'ClusterRoleBinding',
    'CustomResourceDefinition',
    'Deployment',
    'NetworkPolicy',
    'Role',
    'RoleBinding',
    'ServiceAccount',
  ])
})

test('the CRD of the chart is the generated one, and outlives the release', async () => {
  const { metadata, ...rendered } = only(await render(), 'CustomResourceDefinition')
  const generated = parse(
    readFileSync(join(chartFolder, '..', '..', 'crds', 'securesqlclusters.securesql.dev.yaml'), 'utf8'),
  ) as ChartObject
  const { metadata: generatedMetadata, ...expected } = generated
  assert.deepEqual(rendered, expected)
  assert.equal(metadata.annotations?.['helm.sh/resource-policy'], 'keep')
  assert.deepEqual({ ...metadata, annotations: undefined }, { ...generatedMetadata, annotations: undefined })
})

test('the CRD is left out where it is installed by other means', async () => {
  assert.equal(
    (await render('crds.install=false')).some((object) => object.kind === 'CustomResourceDefinition'),
    false,
  )
})

test('no rule has a wildcard, reaches roles, nodes, namespaces or tokens, or impersonates, and Secrets are never deleted', async () => {
  for (const rule of rulesOf(await render())) {
    for (const word of [...rule.apiGroups, ...rule.resources, ...rule.verbs]) assert.ok(!word.includes('*'), JSON.stringify(rule))
    for (const verb of ['escalate', 'bind', 'impersonate', 'deletecollection', 'approve', 'sign'])
      assert.ok(!rule.verbs.includes(verb), JSON.stringify(rule))
    for (const resource of rule.resources) {
      assert.doesNotMatch(
        resource,
        /^(nodes|namespaces|persistentvolumes|.*roles|.*rolebindings|serviceaccounts\/token|pods\/exec|pods\/attach|pods\/portforward|.*webhookconfigurations)/,
      )
    }
    if (rule.resources.includes('secrets')) assert.ok(!rule.verbs.includes('delete'), JSON.stringify(rule))
    if (rule.resources.includes('pods')) assert.ok(!rule.verbs.includes('create'), JSON.stringify(rule))
  }
})

test('the roles are bound to the one ServiceAccount of the release and to nobody else', async () => {
  const objects = await render()
  const { metadata } = only(objects, 'ServiceAccount')
  for (const kind of ['ClusterRoleBinding', 'RoleBinding']) {
    assert.deepEqual(only(objects, kind)['subjects'], [{ kind: 'ServiceAccount', name: metadata.name, namespace: release.namespace }])
  }
  assert.equal(podTemplate(objects).spec.serviceAccountName, metadata.name)
  assert.equal(only(objects, 'ServiceAccount')['automountServiceAccountToken'], false)
})

test('only the lease of the leader election may be changed, and only in the release namespace', async () => {
  const role = only(await render(), 'Role')
  assert.equal(role.metadata.namespace, release.namespace)
  const rules = role['rules'] as readonly PolicyRule[]
  for (const rule of rules) {
    assert.deepEqual(rule.resources, ['leases'])
    if (!rule.verbs.includes('create')) assert.equal(rule.resourceNames?.length, 1)
  }
})

test('the pod passes Pod Security "restricted", as the API server judges it', async () => {
  const objects = await render()
  // A pod is judged when it is made; a Deployment is only warned about.
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'judged', namespace: release.namespace },
    spec: { ...podTemplate(objects).spec, serviceAccountName: 'default' },
  }
  await controlPlane.admin.run(['create', '--dry-run=server', '--validate=strict', '--filename=-'], JSON.stringify(pod))
})

test('beyond "restricted" the root filesystem is read-only, the user is not root by number, and memory is limited', async () => {
  const { spec } = podTemplate(await render())
  const [container] = spec.containers
  assert.deepEqual(container?.['securityContext'], {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  assert.deepEqual(spec['securityContext'], {
    runAsNonRoot: true,
    runAsUser: 1000,
    runAsGroup: 1000,
    seccompProfile: { type: 'RuntimeDefault' },
  })
  assert.deepEqual(Object.keys(container?.resources ?? {}).sort(), ['limits', 'requests'])
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC', 'volumes']) assert.equal(spec[field], undefined)
})

test('the operator is configured by arguments that hold no secret, and by no environment', async () => {
  const [container] = podTemplate(await render()).spec.containers
  assert.equal(container?.env, undefined)
  for (const argument of container?.args ?? []) assert.doesNotMatch(argument, /password|token|secret=|key=/i)
})

test('an image is pinned by its digest where one is given', async () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const [container] = podTemplate(await render(`image.digest="${digest}"`)).spec.containers
  assert.equal(container?.image, `securesql-operator@${digest}`)
})

test('the NetworkPolicy names both directions, selects the operator, and lets nobody in by default', async () => {
  const objects = await render()
  const spec = only(objects, 'NetworkPolicy')['spec'] as {
    policyTypes: string[]
    podSelector: { matchLabels: Record<string, string> }
    ingress: unknown[]
    egress: EgressRule[]
  }
  assert.deepEqual(spec.policyTypes, ['Ingress', 'Egress'])
  assert.deepEqual(spec.ingress, [])
  const { labels } = podTemplate(objects).metadata
  for (const [label, value] of Object.entries(spec.podSelector.matchLabels)) assert.equal(labels[label], value)
  assert.deepEqual(portsOf(spec.egress), ['TCP 4001', 'TCP 443', 'TCP 53', 'TCP 6443', 'UDP 53'])
  // Every rule states its ports: a rule without them opens all.
  for (const rule of spec.egress) assert.ok((rule.ports ?? []).length > 0)
})

test('metrics are open to those who are named, and the API server can be pinned by address', async () => {
  const objects = await render(
    'networkPolicy.metricsFrom=[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]',
    'networkPolicy.apiServerCidrs=["10.0.0.1/32"]',
  )
  const { ingress, egress } = only(objects, 'NetworkPolicy')['spec'] as {
    ingress: { from: unknown; ports: unknown }[]
    egress: EgressRule[]
  }
  assert.deepEqual(ingress, [
    {
      from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      ports: [{ protocol: 'TCP', port: 8080 }],
    },
  ])
  const toApiServer = egress.find((rule) => rule.ports?.some(({ port }) => port === 6443))
  assert.deepEqual(toApiServer?.to, [{ ipBlock: { cidr: '10.0.0.1/32' } }])
})

test('helm installs, upgrades and uninstalls the chart, and leaves nothing of the release behind', async () => {
  const { name, namespace } = release
  const connection = ['--kubeconfig', controlPlane.adminKubeconfig, '--namespace', namespace]
  const labelled = [
    'get',
    'deployments,serviceaccounts,networkpolicies,roles,clusterroles',
    '--selector',
    `app.kubernetes.io/instance=${name}`,
    '--output=name',
  ]
  const succeed = async (...args: string[]): Promise<void> => {
    const { exitCode, stderr } = await runHelm(...args, ...connection)
    assert.equal(exitCode, 0, stderr)
  }
  // Other suites install the CRD by themselves, and helm refuses to take over what it did not make.
  await succeed('install', name, chartFolder, '--set-json', 'crds.install=false')
  await succeed('upgrade', name, chartFolder, '--set-json', 'crds.install=false', '--set-json', 'networkPolicy.apiServerPorts=[6443]')
  const found = await controlPlane.admin.run([...labelled, '--namespace', namespace])
  assert.equal(found.trim().split('\n').length, 5, found)
  await succeed('uninstall', name)
  assert.equal(await controlPlane.admin.run([...labelled, '--namespace', namespace]), '')
})

const wrongValues: readonly { readonly what: string; readonly set: string; readonly message: RegExp }[] = [
  { what: 'an unknown value', set: 'replicas=2', message: /additional properties 'replicas' not allowed/ },
  { what: 'an unknown value of the image', set: 'image.name="x"', message: /additional properties 'name' not allowed/ },
  { what: 'a digest that is none', set: 'image.digest="latest"', message: /'?\/image\/digest'?: 'latest' does not match pattern/ },
  {
    what: 'a port out of range',
    set: 'networkPolicy.apiServerPorts=[70000]',
    message: /apiServerPorts\/0'?: maximum: got 70,?000, want 65,?535/,
  },
  { what: 'no port for the API server', set: 'networkPolicy.apiServerPorts=[]', message: /apiServerPorts'?: minItems: got 0, want 1/ },
  {
    what: 'a peer that would be everybody',
    set: 'networkPolicy.metricsFrom=[{}]',
    message: /metricsFrom\/0'?: minProperties: got 0, want 1/,
  },
]

for (const { what, set, message } of wrongValues) {
  test(`the schema of the values refuses ${what}`, async () => {
    const { exitCode, stderr } = await runHelm('template', release.name, chartFolder, '--set-json', set)
    assert.match(stderr, message)
    assert.notEqual(exitCode, 0)
  })
}

interface EgressRule {
  readonly to?: unknown
  readonly ports?: readonly { readonly protocol: string; readonly port: number }[]
}

function portsOf(rules: readonly EgressRule[]): readonly string[] {
  return rules.flatMap((rule) => (rule.ports ?? []).map(({ protocol, port }) => `${protocol} ${port}`)).sort()
}

function rulesOf(objects: readonly ChartObject[]): readonly PolicyRule[] {
  return ['ClusterRole', 'Role'].flatMap((kind) => only(objects, kind)['rules'] as readonly PolicyRule[])
}

function podTemplate(objects: readonly ChartObject[]): PodTemplate {
  return (only(objects, 'Deployment')['spec'] as { template: PodTemplate }).template
}
