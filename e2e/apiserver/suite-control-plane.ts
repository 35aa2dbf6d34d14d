// What a suite knows of the control plane that `main.ts` has started for all of them: the path of one JSON file in one environment variable.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeKubeconfig, type KubeconfigTarget } from './kubeconfig.ts'
import { kubectlAs, type Kubectl } from './kubectl.ts'
import { waitUntil } from './wait-until.ts'

export const controlPlaneFileVariable = 'SECURESQL_E2E_CONTROL_PLANE'

/** The content of that file. `cluster-admin` is the identity of `adminKubeconfig`. */
export interface ControlPlaneFile extends KubeconfigTarget {
  readonly folder: string
  readonly adminKubeconfig: string
  readonly auditLog: string
  readonly kubectl: string
  readonly helm: string
}

export interface SuiteControlPlane extends ControlPlaneFile {
  readonly admin: Kubectl
  /** A fresh namespace whose ServiceAccount `default` exists: without it every pod is refused. */
  newNamespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>
  /** kubectl, and the path of its kubeconfig, with a token of that ServiceAccount: exactly the rights that RBAC gives it. */
  asServiceAccount(namespace: string, name: string): Promise<{ readonly kubectl: Kubectl; readonly kubeconfig: string }>
}

export function suiteControlPlane(): SuiteControlPlane {
  const path = process.env[controlPlaneFileVariable]
  assert(path !== undefined, 'this suite needs a control plane: run it with `npm run e2e:apiserver`')
  const file = JSON.parse(readFileSync(path, 'utf8')) as ControlPlaneFile
  const admin = kubectlAs(file.kubectl, file.adminKubeconfig, file.folder)
  const asServiceAccount = async (namespace: string, name: string): Promise<{ kubectl: Kubectl; kubeconfig: string }> => {
    const token = (await admin.run(['create', 'token', name, '--namespace', namespace, '--duration', '1h'])).trim()
    const kubeconfig = join(file.folder, `${namespace}.${name}.kubeconfig`)
    await writeKubeconfig(kubeconfig, file, { kind: 'token', token })
    return { kubectl: kubectlAs(file.kubectl, kubeconfig, file.folder), kubeconfig }
  }
  const newNamespace = async (name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> => {
    await admin.run(['create', '--filename=-'], JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }))
    await waitUntil({ what: `ServiceAccount default of ${name}`, deadlineMs: 240_000 }, async () => {
      const { exitCode } = await admin.attempt(['get', 'serviceaccount', 'default', '--namespace', name])
      return exitCode === 0 ? true : undefined
    })
  }
  return { ...file, admin, newNamespace, asServiceAccount }
}
