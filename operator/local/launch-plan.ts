// From a pod's plan to a local process: program, arguments, environment, probes, with every path, name and port replaced by local ones.
import { join } from 'node:path'
import { environmentOf, expand, replaceAddresses, replacePaths } from './command-line.ts'
import type { ContainerProbe } from './container-runner.ts'
import type { LocalAddresses } from './local-addresses.ts'
import type { LocalProcessOptions } from './local-process.ts'
import type { PodFolders } from './pod-folders.ts'
import type { PodPlan, ProbePlan } from './pod-plan.ts'

/** The local command line that stands for an image; `command` is the pod's own, empty when it leaves that to the image. Undefined when there is none. */
export type ImageCommands = (image: string, command: readonly string[]) => readonly string[] | undefined

export interface LaunchSetting {
  readonly addresses: LocalAddresses
  readonly images: ImageCommands
  readonly baseEnv: Readonly<Record<string, string>>
  readonly folders: PodFolders
}

export interface LaunchPlan {
  readonly process: Omit<LocalProcessOptions, 'clock'>
  readonly startup: ContainerProbe | undefined
  readonly readiness: ContainerProbe | undefined
  readonly liveness: ContainerProbe | undefined
}

export async function launchPlan(plan: PodPlan, setting: LaunchSetting): Promise<LaunchPlan | undefined> {
  const { addresses, folders } = setting
  const { container } = plan
  const [program, ...programArgs] = setting.images(container.image, container.command) ?? []
  if (program === undefined) return undefined
  const fields = {
    'metadata.name': plan.name,
    'metadata.namespace': plan.namespace,
    'metadata.uid': plan.uid,
    'status.podIP': addresses.addressOf(plan),
  }
  const variables = environmentOf(container.env, fields)
  const mounts = mountedFolders(plan, folders)
  const local = (text: string): Promise<string> => replaceAddresses(replacePaths(expand(text, variables), mounts), plan, addresses)
  const env: Record<string, string> = { ...setting.baseEnv }
  // A container finds its scratch folder at /tmp; a process is told.
  const scratch = mounts.get('/tmp')
  if (scratch !== undefined) env['TMPDIR'] = scratch
  for (const [name, value] of Object.entries(variables)) env[name] = await local(value)
  const args = await Promise.all(container.args.map(local))
  const probeOf = async (probe: ProbePlan | undefined): Promise<ContainerProbe | undefined> =>
    probe === undefined ? undefined : { plan: probe, endpoint: await addresses.endpoint(plan, probe.port) }
  return {
    process: {
      program,
      args: [...programArgs, ...args],
      env,
      folder: folders.pod(plan),
      logFile: folders.logFile(plan),
      pidFile: folders.pidFile(plan),
    },
    startup: await probeOf(container.startup),
    readiness: await probeOf(container.readiness),
    liveness: await probeOf(container.liveness),
  }
}

function mountedFolders(plan: PodPlan, folders: PodFolders): ReadonlyMap<string, string> {
  const mounted = new Map<string, string>()
  for (const mount of plan.container.mounts) {
    const folder = folders.volume(plan, mount.volume)
    if (folder !== undefined) mounted.set(mount.path.replace(/\/$/, ''), join(folder, mount.subPath))
  }
  return mounted
}
