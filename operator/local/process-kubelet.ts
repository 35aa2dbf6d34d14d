// A kubelet whose containers are local processes. It knows Pods only: it takes each pod of its selection, gives it folders for its volumes and an address, runs its
// container, and writes the pod's status. All through the `kube` port, so it serves the in-memory API server and a real one alike.
// It isolates nothing: no NetworkPolicy, no user of its own, no resource limits. It is for trying and testing on one's own machine.
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { BackOff } from '../../runtime/back-off.ts'
import type { Clock } from '../controller/clock.ts'
import { Controller } from '../controller/controller.ts'
import { listAt, objectAt, textAt } from '../kube/json-object.ts'
import type { JsonObject } from '../kube/json-object.ts'
import type { Kube, KubeObject, KubeProblem, ListOptions } from '../kube/kube.ts'
import { ContainerRunner } from './container-runner.ts'
import { launchPlan } from './launch-plan.ts'
import type { ImageCommands } from './launch-plan.ts'
import type { LocalAddresses, PodName } from './local-addresses.ts'
import { killOrphan } from './local-process.ts'
import { planPod } from './pod-plan.ts'
import type { PodPlan } from './pod-plan.ts'
import { PodFolders } from './pod-folders.ts'
import { podStatus } from './pod-status.ts'
import { readVolumes } from './pod-volumes.ts'

export interface ProcessKubeletOptions {
  readonly kube: Kube
  /** Which pods are ours. */
  readonly select: ListOptions
  /** Everything of ours on disk; made 0700. */
  readonly folder: string
  readonly addresses: LocalAddresses
  /** The local program of each image. */
  readonly images: ImageCommands
  /** The whole environment of every process besides what its pod says. */
  readonly baseEnv: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly restartBackOff?: BackOff
}

interface RunningPod {
  readonly plan: PodPlan
  readonly runner: ContainerRunner
  readonly acceptedAt: string
}

/** Shorter than a real kubelet's (10 s to 5 min): on one's own machine one is waiting for it. */
export const localRestartBackOff: BackOff = { firstMs: 1_000, maxMs: 30_000 }
/** A pod that waits for a Secret is looked at again this often, besides the watch of Secrets. */
const waitingRetryMs = 5_000
/** Pods start and end side by side: an ending one holds its worker for its grace period. */
const workers = 64
const fieldManager = 'process-kubelet'

export class ProcessKubelet {
  readonly #options: ProcessKubeletOptions
  readonly #folders: PodFolders
  readonly #running = new Map<string, RunningPod>()
  /** By pod: the Secrets and claims that concern it. */
  readonly #concerns = new Map<string, PodPlan>()
  readonly #controller: Controller

  private constructor(options: ProcessKubeletOptions, folders: PodFolders) {
    this.#options = options
    this.#folders = folders
    const { kube, select, clock, random, log } = options
    const { namespace, labelSelector } = select
    this.#controller = new Controller({
      kube,
      ...(namespace === undefined ? {} : { namespace }),
      watches: [
        {
          kind: { apiVersion: 'v1', kind: 'Pod' },
          ...(labelSelector === undefined ? {} : { labelSelector }),
          clustersOf: (pod) => [nameOf(pod)],
        },
        { kind: { apiVersion: 'v1', kind: 'Secret' }, clustersOf: (secret) => this.#podsWithSecret(nameOf(secret)) },
        { kind: { apiVersion: 'v1', kind: 'PersistentVolumeClaim' }, clustersOf: (claim) => this.#podsWithClaim(nameOf(claim)) },
      ],
      reconcile: (pod) => this.#reconcile(pod),
      clock,
      random,
      log,
      workers,
    })
  }

  /** Ends what a killed run has left in `folder`, then begins. */
  static async start(options: ProcessKubeletOptions): Promise<ProcessKubelet> {
    const folders = new PodFolders(options.folder)
    await mkdir(options.folder, { recursive: true, mode: 0o700 })
    await endOrphans(folders, options)
    return new ProcessKubelet(options, folders)
  }

  /** The process id that runs a pod now. */
  pidOf(pod: PodName): number | undefined {
    return this.#running.get(keyOf(pod))?.runner.facts.pid
  }

  /** Ends every process; folders stay. */
  async close(): Promise<void> {
    const closed = this.#controller.close()
    await Promise.all([...this.#running.values()].map(({ runner }) => runner.stop()))
    await closed
    // A pod that was being started while we closed.
    await Promise.all([...this.#running.values()].map(({ runner }) => runner.stop()))
  }

  /** Kills every process at once, without waiting: for a program that ends at this very moment. */
  killNow(): void {
    for (const { runner } of this.#running.values()) runner.killNow()
  }

  async #reconcile(name: PodName): Promise<{ readonly requeueAfterMs?: number }> {
    const { kube } = this.#options
    const found = await kube.get({ apiVersion: 'v1', kind: 'Pod', ...name })
    if (!found.ok && found.problem.code !== 'not_found') return this.#apiServerFailed(name, found.problem)
    const pod = found.ok && found.value.metadata.deletionTimestamp === undefined ? found.value : undefined
    const running = this.#running.get(keyOf(name))
    if (running !== undefined && running.plan.uid !== pod?.metadata.uid) await this.#end(name, running)
    if (pod === undefined) {
      await this.#removeDeletedClaims(name)
      return {}
    }
    const { status, retry } = await this.#run(pod)
    const { apiVersion, kind } = pod
    const { uid } = pod.metadata
    // Another pod may have the name by now: it must not be called ready because its predecessor was.
    const metadata = uid === undefined ? name : { ...name, uid }
    const written = await kube.applyStatus({ apiVersion, kind, metadata, status }, fieldManager)
    // The pod may have been deleted meanwhile: its own event says so.
    if (!written.ok && written.problem.code !== 'not_found') return this.#apiServerFailed(name, written.problem)
    return retry ? { requeueAfterMs: waitingRetryMs } : {}
  }

  #apiServerFailed(name: PodName, problem: KubeProblem): { readonly requeueAfterMs: number } {
    this.#options.log.warn({ pod: name.name, problem }, 'the API server did not take a request')
    return { requeueAfterMs: waitingRetryMs }
  }

  /** Starts the pod or brings its files up to date; gives its status and whether it must be tried again without an event. */
  async #run(pod: KubeObject): Promise<{ readonly status: JsonObject; readonly retry: boolean }> {
    const planned = planPod(pod)
    if (!planned.ok) return this.#refuse(pod, planned.problem.code, planned.problem.message)
    const plan = planned.value
    this.#concerns.set(keyOf(plan), plan)
    const running = this.#running.get(keyOf(plan))
    const volumes = await readVolumes(plan, this.#options.kube)
    if (!volumes.ok) {
      // A pod that runs keeps the files that it has.
      if (running !== undefined) return { status: this.#statusOf(running), retry: true }
      return this.#refuse(pod, volumes.problem.code, volumes.problem.message)
    }
    await this.#folders.make(plan, volumes.value)
    const started = running ?? (await this.#start(plan))
    if (started !== undefined) return { status: this.#statusOf(started), retry: false }
    return this.#refuse(pod, 'ErrImageNeverPull', `no local program stands for the image ${plan.container.image}`)
  }

  async #start(plan: PodPlan): Promise<RunningPod | undefined> {
    const { addresses, images, baseEnv, clock, log, restartBackOff } = this.#options
    const launch = await launchPlan(plan, { addresses, images, baseEnv, folders: this.#folders })
    if (launch === undefined) return undefined
    const runner = new ContainerRunner({
      ...launch,
      gracePeriodMs: plan.gracePeriodMs,
      restartBackOff: restartBackOff ?? localRestartBackOff,
      clock,
      log: log.child({ pod: plan.name }),
      onChange: () => this.#controller.enqueue(plan),
    })
    const running = { plan, runner, acceptedAt: now(clock) }
    this.#running.set(keyOf(plan), running)
    return running
  }

  async #end(name: PodName, running: RunningPod): Promise<void> {
    await running.runner.stop()
    this.#running.delete(keyOf(name))
    await this.#folders.removePod(name)
  }

  /** The data of a claim go when the claim is gone and nobody runs on it any more. */
  async #removeDeletedClaims(name: PodName): Promise<void> {
    const plan = this.#concerns.get(keyOf(name))
    for (const volume of plan?.volumes ?? []) {
      if (volume.kind !== 'claim') continue
      const ref = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: name.namespace, name: volume.claim }
      const found = await this.#options.kube.get(ref)
      if (!found.ok && found.problem.code === 'not_found')
        await rm(this.#folders.claim(name.namespace, volume.claim), { recursive: true, force: true })
    }
  }

  #refuse(pod: KubeObject, reason: string, message: string): { readonly status: JsonObject; readonly retry: true } {
    const { clock, addresses, log } = this.#options
    log.warn({ pod: pod.metadata.name, reason, message }, 'a pod cannot run')
    const [container] = listAt(objectAt(pod, 'spec'), 'containers')
    // The same at every look: a time of now would be a change, the change an event, and the event the next look.
    const since = pod.metadata.creationTimestamp ?? now(clock)
    const status = podStatus({
      phase: { kind: 'waiting', reason, message },
      container: textAt(container, 'name') ?? '',
      image: textAt(container, 'image') ?? '',
      address: addresses.addressOf(nameOf(pod)),
      ready: false,
      readySince: since,
      acceptedAt: since,
      restarts: 0,
      lastExit: undefined,
    })
    return { status, retry: true }
  }

  #statusOf({ plan, runner, acceptedAt }: RunningPod): JsonObject {
    const { name: container, image } = plan.container
    return podStatus({ ...runner.facts, container, image, acceptedAt, address: this.#options.addresses.addressOf(plan) })
  }

  #podsWithSecret(secret: PodName): readonly PodName[] {
    return this.#podsWith(secret.namespace, (plan) =>
      plan.volumes.some((volume) => volume.kind === 'secret' && volume.sources.some((source) => source.secret === secret.name)),
    )
  }

  #podsWithClaim(claim: PodName): readonly PodName[] {
    return this.#podsWith(claim.namespace, (plan) => plan.volumes.some((volume) => volume.kind === 'claim' && volume.claim === claim.name))
  }

  #podsWith(namespace: string, test: (plan: PodPlan) => boolean): readonly PodName[] {
    const plans = [...this.#concerns.values()].filter((plan) => plan.namespace === namespace && test(plan))
    return plans.map((plan) => ({ namespace, name: plan.name }))
  }
}

async function endOrphans(folders: PodFolders, { clock, log }: ProcessKubeletOptions): Promise<void> {
  const pods = await readdir(folders.pods).catch(() => [])
  for (const pod of pods) {
    if (await killOrphan(join(folders.pods, pod, 'pid.json'), clock)) log.warn({ pod }, 'a process of a former run was ended')
  }
}

function nameOf(object: KubeObject): PodName {
  return { namespace: object.metadata.namespace ?? '', name: textAt(object.metadata, 'name') ?? '' }
}

function keyOf(pod: PodName): string {
  return `${pod.namespace}/${pod.name}`
}

function now(clock: Clock): string {
  return new Date(clock.wallMs()).toISOString().replace(/\.\d{3}Z$/, 'Z')
}
