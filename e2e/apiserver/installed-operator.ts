// The chart's objects installed with kubectl, and what a pod of its Deployment would be started with: the suites run the operator from that and nothing else.
import { join } from 'node:path'
import { only, renderChart, type ChartObject } from './chart.ts'
import type { ProgramStart } from './process-group.ts'
import type { SuiteControlPlane } from './suite-control-plane.ts'
import type { RbacRule } from './audit-log.ts'

export interface InstalledOperator {
  readonly namespace: string
  readonly serviceAccount: string
  /** With a token of the chart's ServiceAccount. */
  readonly kubeconfig: string
  readonly nodeImage: string
  /** Rules of the ClusterRole and of the Role together. */
  readonly rules: readonly RbacRule[]
  /** The operator as the Deployment starts it, but for the addresses: `metricsPort` on loopback instead of 8080. */
  start(metricsPort: number): ProgramStart
}

const operatorProgram = join(import.meta.dirname, '..', '..', 'operator', 'main.ts')

/** Into a namespace of that name, under Pod Security `restricted`. */
export async function installOperator(controlPlane: SuiteControlPlane, namespace: string): Promise<InstalledOperator> {
  await controlPlane.newNamespace(namespace, { 'pod-security.kubernetes.io/enforce': 'restricted' })
  const objects = await renderChart(controlPlane.helm, controlPlane.folder, { name: 'securesql', namespace })
  const list = { apiVersion: 'v1', kind: 'List', items: objects }
  await controlPlane.admin.run(['apply', '--server-side', '--force-conflicts', '--filename=-'], JSON.stringify(list))
  await controlPlane.admin.run(['wait', '--for=condition=Established', 'crd/securesqlclusters.securesql.dev', '--timeout=240s'])

  const serviceAccount = only(objects, 'ServiceAccount').metadata.name
  const { kubeconfig } = await controlPlane.asServiceAccount(namespace, serviceAccount)
  const args = containerArguments(only(objects, 'Deployment'))
  return {
    namespace,
    serviceAccount,
    kubeconfig,
    nodeImage: args.find((argument) => argument.startsWith('-node-image='))?.slice('-node-image='.length) ?? '',
    rules: [...(only(objects, 'ClusterRole')['rules'] as RbacRule[]), ...(only(objects, 'Role')['rules'] as RbacRule[])],
    start: (metricsPort) => ({
      name: 'operator',
      program: process.execPath,
      args: [
        operatorProgram,
        ...args.map((argument) => argument.replace('0.0.0.0:8080', `127.0.0.1:${metricsPort}`)),
        `-kubeconfig=${kubeconfig}`,
      ],
    }),
  }
}

function containerArguments(deployment: ChartObject): readonly string[] {
  const { template } = deployment['spec'] as { template: { spec: { containers: { args: string[] }[] } } }
  return template.spec.containers[0]?.args ?? []
}
