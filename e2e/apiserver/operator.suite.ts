// The operator on a real API server with a token of exactly the chart's ServiceAccount. First the program as the Deployment starts it, then its parts with members that
// really run, then what all of that has used of its rights.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { demoSteps, type DemoRun } from '../../operator/local/demo-steps.ts'
import { DemoWorld, type DemoNames } from '../../operator/local/demo-world.ts'
import { operatorName, operatorUser } from '../../operator/resource/labels.ts'
import { names } from '../../operator/resource/names.ts'
import { callsOf, rightsIn } from './audit-log.ts'
import { freePorts } from './free-ports.ts'
import { installOperator, type InstalledOperator } from './installed-operator.ts'
import { startLocalMembers, type LocalMembers } from './local-members.ts'
import { ProcessGroup } from './process-group.ts'
import { suiteControlPlane } from './suite-control-plane.ts'
import { waitUntil } from './wait-until.ts'

const controlPlane = suiteControlPlane()
const { admin } = controlPlane
const examples = join(import.meta.dirname, '..', '..', 'examples')
const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' }
const operatorNamespace = 'securesql-system'
/** Where the program runs alone, and where members run. */
const quiet = 'operator-quiet'
const shop = 'operator-shop'
/** It only ends what hangs: the machine may be loaded. */
const deadlineMs = 240_000

let operator: InstalledOperator

before(async () => {
  operator = await installOperator(controlPlane, operatorNamespace)
  await controlPlane.newNamespace(quiet, restricted)
  await controlPlane.newNamespace(shop, restricted)
})

after(async () => {
  await admin.run(['delete', 'namespace', operatorNamespace, quiet, shop, '--wait=false'])
})

describe('the program as the Deployment starts it', () => {
  let group: ProcessGroup
  let metricsPort = 0

  before(async () => {
    ;[metricsPort = 0] = await freePorts(1)
    group = new ProcessGroup(await mkdtemp(join(controlPlane.folder, 'operator-')))
    group.start(operator.start(metricsPort))
  })

  after(() => group.close())

  test('becomes ready and holds the lease in its own namespace', async () => {
    await waitUntil({ what: 'the operator ready', deadlineMs }, async () => {
      if (!group.isRunning('operator')) throw new Error(`the operator ended:\n${await group.logTail('operator')}`)
      const answer = await fetch(`http://127.0.0.1:${metricsPort}/readyz`).catch(() => undefined)
      return answer?.status === 200 && (await leaseHolder()) !== '' ? true : undefined
    })
  })

  test('makes every object of an applied resource, all owned by it, and its pods pass Pod Security "restricted"', async () => {
    await admin.run(['apply', '--server-side', '--namespace', quiet, '--filename', join(examples, 'single.yaml')])
    await waitUntil({ what: 'the pod of the StatefulSet', deadlineMs }, async () => {
      const { exitCode } = await admin.attempt(['get', 'pod', 'notes-0', '--namespace', quiet])
      return exitCode === 0 ? true : undefined
    })
    const kinds = 'networkpolicies,secrets,services,serviceaccounts,statefulsets,poddisruptionbudgets'
    const { items } = JSON.parse(
      await admin.run(['get', kinds, '--namespace', quiet, '--selector', 'securesql.dev/cluster=notes', '--output=json']),
    ) as {
      items: { kind: string; metadata: { name: string; creationTimestamp: string; ownerReferences?: { kind: string; name: string }[] } }[]
    }
    assert.deepEqual(
      new Set(items.map((item) => item.kind)),
      new Set(['NetworkPolicy', 'Secret', 'Service', 'ServiceAccount', 'StatefulSet', 'PodDisruptionBudget']),
    )
    for (const { kind, metadata } of items) {
      assert.deepEqual(
        (metadata.ownerReferences ?? []).map((owner) => `${owner.kind}/${owner.name}`),
        ['SecureSqlCluster/notes'],
        `${kind}/${metadata.name}`,
      )
    }
    const statefulSet = items.find((item) => item.kind === 'StatefulSet')
    for (const { kind, metadata } of items) {
      if (['NetworkPolicy', 'Secret', 'Service'].includes(kind))
        assert.ok(
          metadata.creationTimestamp <= (statefulSet?.metadata.creationTimestamp ?? ''),
          `${kind}/${metadata.name} came after the StatefulSet`,
        )
    }
  })

  test('says in the status what it waits for, for the generation that it has seen', async () => {
    await waitUntil({ what: 'the status', deadlineMs }, async () =>
      (await statusOf(quiet, 'notes')).observedGeneration === 1 ? true : undefined,
    )
    const ready = await condition(quiet, 'notes', 'Ready')
    assert.equal(ready?.status, 'False')
    assert.notEqual(ready?.message, '')
  })

  test('never writes to spec', async () => {
    const { metadata } = JSON.parse(
      await admin.run(['get', 'ssc', 'notes', '--namespace', quiet, '--show-managed-fields', '--output=json']),
    ) as {
      metadata: { managedFields: { manager: string; fieldsV1: Record<string, unknown> }[] }
    }
    const ours = metadata.managedFields.filter((entry) => entry.manager === operatorName)
    assert.ok(ours.length > 0)
    for (const entry of ours) assert.deepEqual(Object.keys(entry.fieldsV1), ['f:status'])
  })

  test('puts back what somebody else has changed or deleted', async () => {
    await admin.run(['delete', 'networkpolicy', 'notes-deny', '--namespace', quiet])
    await waitUntil({ what: 'the policy', deadlineMs }, async () => {
      const { exitCode } = await admin.attempt(['get', 'networkpolicy', 'notes-deny', '--namespace', quiet])
      return exitCode === 0 ? true : undefined
    })
    const everybody = JSON.stringify({ spec: { ingress: [{}] } })
    await admin.run(['patch', 'networkpolicy', 'notes-raft', '--namespace', quiet, '--type=merge', '--patch', everybody])
    await waitUntil({ what: 'the Raft port closed again', deadlineMs }, async () => {
      const ingress = await admin.run(['get', 'networkpolicy', 'notes-raft', '--namespace', quiet, '--output=jsonpath={.spec.ingress}'])
      return ingress === '[{}]' ? undefined : true
    })
    // Whoever can do this would receive the clients' passwords.
    const elsewhere = JSON.stringify({ spec: { selector: { app: 'somebody-else' } } })
    await admin.run(['patch', 'service', 'notes', '--namespace', quiet, '--type=merge', '--patch', elsewhere])
    await waitUntil({ what: 'the selector of the Service', deadlineMs }, async () => {
      const selector = await admin.run(['get', 'service', 'notes', '--namespace', quiet, '--output=jsonpath={.spec.selector}'])
      return selector.includes('somebody-else') ? undefined : true
    })
  })

  test('names the Secret that a user lacks, in a condition', async () => {
    const users = [{ name: 'reporting', permissions: ['query'], passwordSecret: { name: 'not-there', key: 'password' } }]
    await admin.run(['patch', 'ssc', 'notes', '--namespace', quiet, '--type=merge', '--patch', JSON.stringify({ spec: { users } })])
    const lacking = await waitUntil({ what: 'UsersReady=False', deadlineMs }, async () => {
      const found = await condition(quiet, 'notes', 'UsersReady')
      return found?.status === 'False' ? found : undefined
    })
    assert.match(lacking.message, /not-there/)
    await admin.run(['create', 'secret', 'generic', 'not-there', '--namespace', quiet, '--from-literal=password=now-it-is'])
    await waitUntil({ what: 'UsersReady=True', deadlineMs }, async () =>
      (await condition(quiet, 'notes', 'UsersReady'))?.status === 'True' ? true : undefined,
    )
  })

  test('keeps passwords and keys out of its log and of every object but Secrets', async () => {
    const log = await group.logTail('operator', Infinity)
    assert.doesNotMatch(log, /now-it-is|PRIVATE KEY|\$2[aby]\$/)
    for (const kind of ['ssc', 'statefulset', 'pod', 'networkpolicy']) {
      assert.doesNotMatch(await admin.run(['get', kind, '--namespace', quiet, '--output=json']), /now-it-is|PRIVATE KEY|\$2[aby]\$/)
    }
  })

  test('on SIGTERM it gives the lease back, so that a successor need not wait for its end', async () => {
    await group.stop('operator', deadlineMs)
    assert.equal(await leaseHolder(), '')
  })

  test('deleting the resource deletes what was made for it, by owner references alone', async () => {
    // The operator does not run any more.
    await admin.run(['delete', 'ssc', 'notes', '--namespace', quiet])
    await waitUntil({ what: 'garbage collection', deadlineMs }, async () => {
      const kinds = 'networkpolicies,secrets,services,statefulsets,poddisruptionbudgets,pods'
      const left = await admin.run(['get', kinds, '--namespace', quiet, '--selector', 'securesql.dev/cluster=notes', '--output=name'])
      return left === '' ? true : undefined
    })
    assert.match(
      await admin.run(['get', 'persistentvolumeclaims', '--namespace', quiet, '--output=name']),
      /data-notes-0/,
      'deletionPolicy Retain keeps the volume',
    )
  })
})

describe('from kubectl apply to a replicated write, with members that run', () => {
  const folder = join(controlPlane.folder, 'local-members')
  let members: LocalMembers
  let run: DemoRun

  before(async () => {
    members = await startLocalMembers({
      folder,
      namespace: shop,
      operatorNamespace,
      nodeImage: operator.nodeImage,
      adminKubeconfig: controlPlane.adminKubeconfig,
      operatorKubeconfig: operator.kubeconfig,
    })
    await admin.run(['apply', '--server-side', '--namespace', shop, '--filename', join(examples, 'three-nodes.yaml')])
    const world = new DemoWorld({
      kube: members.kube,
      addresses: members.addresses,
      pidOf: (pod) => members.kubelet.pidOf(pod),
      names: exampleNames,
    })
    run = { world, appliedAtMs: performance.now(), acknowledged: new Set() }
  })

  after(async () => {
    await members.close()
    await rm(folder, { recursive: true, force: true })
  })

  for (const step of demoSteps) {
    test(step.title, async (context) => {
      context.diagnostic(await step.run(run))
    })
  }

  test('kubectl wait sees the condition Ready, and kubectl get shows the leader', async () => {
    await admin.run(['wait', 'ssc/orders', '--for=condition=Ready', '--namespace', shop, '--timeout=240s'])
    assert.match(await admin.run(['get', 'ssc', 'orders', '--namespace', shop]), /\norders\s+True\s+3\s+orders-[012]\s/)
  })
})

describe('the rights of the ServiceAccount', () => {
  test('nothing that the operator asked for was refused', () => {
    const refused = callsOf(controlPlane.auditLog, operatorNamespace, operator.serviceAccount).filter((call) => !call.isAuthorized)
    assert.deepEqual(refused, [])
  })

  test('every right in the roles was used, and no other', () => {
    const used = new Set(callsOf(controlPlane.auditLog, operatorNamespace, operator.serviceAccount).map((call) => call.right))
    // Asked by an admission plugin, which the audit log does not show: without it every object with an owner reference would have been refused.
    used.add('update securesqlclusters.securesql.dev/finalizers')
    const granted = rightsIn(operator.rules)
    assert.deepEqual(
      [...granted].filter((right) => !used.has(right)),
      [],
      'granted and never used',
    )
    assert.deepEqual(
      [...used].filter((right) => !granted.has(right)),
      [],
      'used and not granted',
    )
  })

  const denied: readonly (readonly string[])[] = [
    ['create', 'pods'],
    ['delete', 'pods'],
    ['create', 'pods', '--subresource=exec'],
    ['create', 'pods', '--subresource=eviction'],
    ['get', 'nodes'],
    ['list', 'namespaces'],
    ['delete', 'namespaces'],
    ['delete', 'secrets'],
    ['deletecollection', 'secrets'],
    ['delete', 'statefulsets.apps'],
    ['create', 'deployments.apps'],
    ['create', 'daemonsets.apps'],
    ['create', 'jobs.batch'],
    ['delete', 'persistentvolumeclaims'],
    ['create', 'serviceaccounts', '--subresource=token'],
    ['create', 'clusterroles.rbac.authorization.k8s.io'],
    ['create', 'clusterrolebindings.rbac.authorization.k8s.io'],
    ['create', 'rolebindings.rbac.authorization.k8s.io'],
    ['escalate', 'clusterroles.rbac.authorization.k8s.io'],
    ['patch', 'customresourcedefinitions.apiextensions.k8s.io'],
    ['create', 'validatingwebhookconfigurations.admissionregistration.k8s.io'],
    ['approve', 'signers.certificates.k8s.io'],
    ['patch', 'securesqlclusters.securesql.dev'],
    ['delete', 'securesqlclusters.securesql.dev'],
    ['impersonate', 'users'],
    ['*', '*'],
  ]
  for (const [verb = '', ...rest] of denied) {
    test(`may not ${verb} ${rest.join(' ')}, in its own namespace or in that of a cluster`, async () => {
      const identity = `--as=system:serviceaccount:${operatorNamespace}:${operator.serviceAccount}`
      for (const namespace of [operatorNamespace, shop]) {
        const { stdout } = await admin.attempt(['auth', 'can-i', verb, ...rest, '--namespace', namespace, identity])
        assert.equal(stdout.trim(), 'no')
      }
    })
  }

  test('may write leases in its own namespace only, and only its own lease', async () => {
    const identity = `--as=system:serviceaccount:${operatorNamespace}:${operator.serviceAccount}`
    const canI = async (lease: string, namespace: string): Promise<string> =>
      (await admin.attempt(['auth', 'can-i', 'update', lease, '--namespace', namespace, identity])).stdout.trim()
    assert.equal(await canI(`leases.coordination.k8s.io/${operatorName}`, operatorNamespace), 'yes')
    assert.equal(await canI('leases.coordination.k8s.io/other', operatorNamespace), 'no')
    assert.equal(await canI(`leases.coordination.k8s.io/${operatorName}`, shop), 'no')
  })
})

const exampleCluster = { namespace: shop, name: 'orders' }
const exampleNames: DemoNames = {
  namespace: shop,
  cluster: exampleCluster.name,
  replicas: 3,
  nodesService: names.nodesService(exampleCluster),
  caSecret: names.caBundle(exampleCluster),
  apiTlsSecret: names.apiTls(exampleCluster),
  nodeTlsSecret: names.nodeTls(exampleCluster),
  app: { user: 'app', secret: names.userPassword(exampleCluster, 'app'), key: 'password' },
  reporting: { user: 'reporting', secret: 'reporting-password', key: 'password' },
  operator: { user: operatorUser, secret: names.operatorUser(exampleCluster), key: 'password' },
}

interface Condition {
  readonly type: string
  readonly status: string
  readonly message: string
}

async function statusOf(
  namespace: string,
  name: string,
): Promise<{ readonly observedGeneration?: number; readonly conditions?: readonly Condition[] }> {
  const { status } = JSON.parse(await admin.run(['get', 'ssc', name, '--namespace', namespace, '--output=json'])) as {
    status?: { observedGeneration?: number; conditions?: Condition[] }
  }
  return status ?? {}
}

async function condition(namespace: string, name: string, type: string): Promise<Condition | undefined> {
  return (await statusOf(namespace, name)).conditions?.find((candidate) => candidate.type === type)
}

/** Empty when nobody holds it or it does not exist yet. */
async function leaseHolder(): Promise<string> {
  const { stdout } = await admin.attempt([
    'get',
    'lease',
    operatorName,
    '--namespace',
    operatorNamespace,
    '--output=jsonpath={.spec.holderIdentity}',
  ])
  return stdout
}
