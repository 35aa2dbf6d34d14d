// Where everything of a pod lies on disk: volumes below the pod's own folder, claims beside it because they outlive the pod, and the log because one wants to read it
// when the pod is gone.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { PodName } from './local-addresses.ts'
import type { PodPlan } from './pod-plan.ts'
import { writeSecretFiles } from './secret-files.ts'
import type { SecretContents } from './secret-files.ts'

const folderMode = 0o700

export class PodFolders {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  get pods(): string {
    return join(this.#root, 'pods')
  }

  pod(pod: PodName): string {
    return join(this.pods, `${pod.namespace}_${pod.name}`)
  }

  pidFile(pod: PodName): string {
    return join(this.pod(pod), 'pid.json')
  }

  logFile(pod: PodName): string {
    return join(this.#root, 'logs', `${pod.namespace}_${pod.name}.log`)
  }

  claim(namespace: string, claim: string): string {
    return join(this.#root, 'claims', `${namespace}_${claim}`)
  }

  /** The folder that stands for a volume of the pod. */
  volume(plan: PodPlan, name: string): string | undefined {
    const volume = plan.volumes.find((candidate) => candidate.name === name)
    if (volume === undefined) return undefined
    return volume.kind === 'claim' ? this.claim(plan.namespace, volume.claim) : join(this.pod(plan), 'volumes', volume.name)
  }

  /** Makes every folder, and the files of every Secret volume as `secrets` has them. */
  async make(plan: PodPlan, secrets: ReadonlyMap<string, SecretContents>): Promise<void> {
    await mkdir(join(this.#root, 'logs'), { recursive: true, mode: folderMode })
    await mkdir(this.pod(plan), { recursive: true, mode: folderMode })
    for (const { name } of plan.volumes) {
      const folder = this.volume(plan, name)
      if (folder === undefined) continue
      await mkdir(folder, { recursive: true, mode: folderMode })
      const contents = secrets.get(name)
      if (contents !== undefined) await writeSecretFiles(folder, contents)
    }
  }

  /** Claims and the log stay. */
  async removePod(pod: PodName): Promise<void> {
    await rm(this.pod(pod), { recursive: true, force: true })
  }
}
