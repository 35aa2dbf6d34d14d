// A cluster's members as local processes on a real API server: the process kubelet as the cluster's only kubelet, and the operator's own parts composed as `npm run demo`
// composes them, but through the API server and under the identity that they are given.
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { makeLogger, type Logger } from '../../runtime/log.ts'
import { createWriteStream } from 'node:fs'
import { systemClock } from '../../operator/controller/clock.ts'
import { clusterWatches } from '../../operator/controller/cluster-watches.ts'
import { Controller } from '../../operator/controller/controller.ts'
import { OwnCredentials } from '../../operator/credentials/own-credentials.ts'
import { ClientKube, loadKubeConfig } from '../../operator/kube/client-kube.ts'
import { LocalAddresses } from '../../operator/local/local-addresses.ts'
import { ProcessKubelet } from '../../operator/local/process-kubelet.ts'
import { HttpsMembers } from '../../operator/members/https-members.ts'
import { Reconciler } from '../../operator/reconcile/reconciler.ts'

export interface LocalMembersOptions {
  /** For data, Secrets as files and logs; made 0700. */
  readonly folder: string
  /** The namespace whose pods the kubelet runs and whose resources the operator looks after. */
  readonly namespace: string
  readonly operatorNamespace: string
  readonly nodeImage: string
  /** The kubelet's identity: it writes the status of pods. */
  readonly adminKubeconfig: string
  /** The operator's identity. */
  readonly operatorKubeconfig: string
}

export interface LocalMembers {
  /** As the administrator, for looking at what is there. */
  readonly kube: ClientKube
  readonly addresses: LocalAddresses
  readonly kubelet: ProcessKubelet
  readonly logFile: string
  /** The operator first, so that nobody repairs what is being taken down. */
  close(): Promise<void>
}

/** More members than the suite's clusters have. */
const addressesInCertificates = 3
const nodeProgram = resolve(import.meta.dirname, '..', '..', 'node', 'main.ts')

export async function startLocalMembers(options: LocalMembersOptions): Promise<LocalMembers> {
  const { folder, namespace, nodeImage } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const logFile = join(folder, 'operator.log')
  const log = makeLogger({ level: 'info', destination: createWriteStream(logFile, { mode: 0o600 }) })
  const kube = new ClientKube(loadKubeConfig(options.adminKubeconfig))
  const addresses = await LocalAddresses.open({
    mode: process.platform === 'linux' ? 'address-per-pod' : 'one-address',
    random: Math.random,
  })
  const kubelet = await ProcessKubelet.start({
    kube,
    select: { namespace },
    folder: join(folder, 'kubelet'),
    addresses,
    images: (image) => (image === nodeImage ? [process.execPath, nodeProgram] : undefined),
    baseEnv: { PATH: process.env['PATH'] ?? '' },
    clock: systemClock,
    random: Math.random,
    log: log.child({ part: 'kubelet' }),
  })
  // Whatever way the suite ends: its members may not run on.
  const killNow = (): void => kubelet.killNow()
  process.once('exit', killNow)
  const operator = startOperator(options, addresses, log)
  const close = async (): Promise<void> => {
    await operator.close()
    await kubelet.close()
    process.off('exit', killNow)
    kube.close()
  }
  return { kube, addresses, kubelet, logFile, close }
}

function startOperator(options: LocalMembersOptions, addresses: LocalAddresses, log: Logger): { close(): Promise<void> } {
  const kube = new ClientKube(loadKubeConfig(options.operatorKubeconfig))
  const credentials = new OwnCredentials()
  const reconciler = new Reconciler({
    kube,
    credentials,
    installation: {
      operatorNamespace: options.operatorNamespace,
      nodeImage: options.nodeImage,
      extraDnsNames: ['localhost'],
      extraIpAddresses: addresses.addresses(addressesInCertificates),
    },
    members: new HttpsMembers({ locate: (host, port) => addresses.resolve(host, port) }),
    now: Date.now,
    report: (event) => log.info({ event }, 'reconciled'),
  })
  const controller = new Controller({
    kube,
    namespace: options.namespace,
    watches: clusterWatches,
    reconcile: (cluster) => reconciler.reconcile(cluster),
    clock: systemClock,
    random: Math.random,
    log: log.child({ part: 'controller' }),
  })
  return {
    async close() {
      await controller.close()
      await credentials.close()
      kube.close()
    },
  }
}
