// A real Kubernetes control plane for a test run: etcd, kube-apiserver and kube-controller-manager on loopback, with RBAC. There is no kubelet and no scheduler: pods
// stay Pending until somebody (a test, or the process kubelet) plays that part.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeKubeconfig, type KubeconfigTarget } from './kubeconfig.ts'
import { makeControlPlaneKeys, type ControlPlaneKeys } from './control-plane-keys.ts'
import { freePorts } from './free-ports.ts'
import { kubectlAs, type Kubectl } from './kubectl.ts'
import { ProcessGroup } from './process-group.ts'
import type { Programs } from './programs.ts'
import { waitUntil } from './wait-until.ts'

export interface ControlPlane extends KubeconfigTarget {
  /** Removed by `close`; suites may put files into it. */
  readonly folder: string
  readonly adminKubeconfig: string
  readonly admin: Kubectl
  /** One JSON object a line for each request that a ServiceAccount outside of kube-system has made: who, verb, resource, status code. No bodies. */
  readonly auditLog: string
  /** Ends the programs and removes the folder. */
  close(): Promise<void>
}

/** A cold start on two busy cores took under 30 s; past this something is wrong. */
const startDeadlineMs = 400_000

/** Resolves when `/readyz` answers 200 and the controller manager has made the first ServiceAccount. Whatever was started is ended again when that fails. */
export async function startControlPlane(programs: Programs): Promise<ControlPlane> {
  const folder = await mkdtemp(join(tmpdir(), 'securesql-control-plane-'))
  const group = new ProcessGroup(folder)
  const close = async (): Promise<void> => {
    await group.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  }
  try {
    return { ...(await startPrograms(programs, folder, group)), folder, close }
  } catch (problem) {
    await close()
    throw problem
  }
}

async function startPrograms(programs: Programs, folder: string, group: ProcessGroup): Promise<Omit<ControlPlane, 'folder' | 'close'>> {
  const keys = await makeControlPlaneKeys(folder)
  const [etcdPort = 0, etcdPeerPort = 0, apiPort = 0] = await freePorts(3)
  const target = { server: `https://127.0.0.1:${apiPort}`, authorityFile: keys.authority.certificate }
  const adminKubeconfig = join(folder, 'admin.kubeconfig')
  await writeKubeconfig(adminKubeconfig, target, { kind: 'certificate', files: keys.admin })
  const managerKubeconfig = join(folder, 'controller-manager.kubeconfig')
  await writeKubeconfig(managerKubeconfig, target, { kind: 'certificate', files: keys.controllerManager })

  const auditLog = join(folder, 'audit.log')
  const auditPolicyFile = join(folder, 'audit-policy.json')
  await writeFile(auditPolicyFile, JSON.stringify(auditPolicy))

  group.start({ name: 'etcd', program: programs.etcd, args: etcdArgs(folder, etcdPort, etcdPeerPort) })
  await giveEtcdAPast(etcdPort, group)
  group.start({
    name: 'kube-apiserver',
    program: programs.kubeApiserver,
    args: apiServerArgs({ folder, keys, port: apiPort, etcdPort, auditLog, auditPolicyFile }),
  })
  const admin = kubectlAs(programs.kubectl, adminKubeconfig, folder)
  // kubectl ends with 0 only on HTTP 200. The text of a failing report contains "ok" as well, and a controller manager that starts before 200 ends at once, because
  // its RBAC rules do not exist yet.
  await ready(group, 'kube-apiserver', admin, ['get', '--raw', '/readyz'])
  group.start({
    name: 'kube-controller-manager',
    program: programs.kubeControllerManager,
    args: controllerManagerArgs(keys, managerKubeconfig),
  })
  await ready(group, 'kube-controller-manager', admin, ['get', 'serviceaccount', 'default', '--namespace', 'default'])
  return { ...target, adminKubeconfig, admin, auditLog }
}

// In an empty etcd resource version 1 is the present, and the API server answers a watch from it; in any cluster with a past it has forgotten it (410). The tests of
// that answer need a past: a few writes under a key that the API server does not look at, through etcd's JSON gateway.
async function giveEtcdAPast(port: number, group: ProcessGroup): Promise<void> {
  const write = async (): Promise<true | undefined> => {
    if (!group.isRunning('etcd')) throw new Error(`etcd ended during the start:\n${await group.logTail('etcd')}`)
    const body = JSON.stringify({ key: btoa('/past'), value: btoa('any') })
    const answer = await fetch(`http://127.0.0.1:${port}/v3/kv/put`, { method: 'POST', body }).catch(() => undefined)
    return answer?.ok === true ? true : undefined
  }
  for (let revision = 0; revision < 10; revision += 1)
    await waitUntil({ what: 'a write to etcd', deadlineMs: startDeadlineMs, everyMs: 50 }, write)
}

async function ready(group: ProcessGroup, name: string, admin: Kubectl, args: readonly string[]): Promise<void> {
  const programs = ['etcd', name]
  await waitUntil({ what: `${name}: kubectl ${args.join(' ')}`, deadlineMs: startDeadlineMs }, async () => {
    for (const program of programs) {
      if (!group.isRunning(program)) throw new Error(`${program} ended during the start:\n${await group.logTail(program)}`)
    }
    return (await admin.attempt(args)).exitCode === 0 ? true : undefined
  })
}

function etcdArgs(folder: string, port: number, peerPort: number): readonly string[] {
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=http://127.0.0.1:${port}`,
    `--advertise-client-urls=http://127.0.0.1:${port}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
    '--unsafe-no-fsync', // nothing of a test run has to survive a power failure
    '--log-level=warn',
  ]
}

interface ApiServerFiles {
  readonly folder: string
  readonly keys: ControlPlaneKeys
  readonly port: number
  readonly etcdPort: number
  readonly auditLog: string
  readonly auditPolicyFile: string
}

// The controllers' own ServiceAccounts live in kube-system; what they do is not of interest here. A watch is logged when it begins (ResponseStarted), because its
// end may come after the suite's.
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'None', userGroups: ['system:serviceaccounts:kube-system'] },
    { level: 'Metadata', userGroups: ['system:serviceaccounts'] },
    { level: 'None' },
  ],
}

function apiServerArgs({ folder, keys, port, etcdPort, auditLog, auditPolicyFile }: ApiServerFiles): readonly string[] {
  return [
    `--audit-log-path=${auditLog}`,
    `--audit-policy-file=${auditPolicyFile}`,
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none', // a loopback address is no valid endpoint of the Service `kubernetes`, and no pod here needs one
    `--cert-dir=${folder}`,
    `--tls-cert-file=${keys.apiServer.certificate}`,
    `--tls-private-key-file=${keys.apiServer.key}`,
    `--client-ca-file=${keys.authority.certificate}`,
    '--authorization-mode=Node,RBAC',
    // The second is off by default but on in some distributions: an owner reference that blocks the owner's deletion then needs a right on the owner's finalizers.
    '--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-signing-key-file=${keys.serviceAccountKey}`,
    `--service-account-key-file=${keys.serviceAccountPublicKey}`,
  ]
}

function controllerManagerArgs(keys: ControlPlaneKeys, kubeconfig: string): readonly string[] {
  return [
    `--kubeconfig=${kubeconfig}`,
    '--leader-elect=false',
    '--secure-port=0',
    '--use-service-account-credentials=true',
    `--service-account-private-key-file=${keys.serviceAccountKey}`,
    `--root-ca-file=${keys.authority.certificate}`,
    // Pods are bound to a node that has no kubelet: these two would evict or delete them for that reason alone.
    '--controllers=*,-node-lifecycle-controller,-pod-garbage-collector-controller',
  ]
}
