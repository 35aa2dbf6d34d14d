// The contents of a pod's Secret volumes, read from the API server. A pod does not start before all of them are there, as with a real kubelet.
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import { objectAt } from '../kube/json-object.ts'
import type { Kube } from '../kube/kube.ts'
import type { PodPlan, SecretSource } from './pod-plan.ts'
import type { SecretContents } from './secret-files.ts'

/** The kubelet's word for it. */
export interface VolumeProblem {
  readonly code: 'CreateContainerConfigError'
  readonly message: string
}

/** By volume; also says when a claim does not exist yet. */
export async function readVolumes(plan: PodPlan, kube: Kube): Promise<Result<ReadonlyMap<string, SecretContents>, VolumeProblem>> {
  const contents = new Map<string, SecretContents>()
  for (const volume of plan.volumes) {
    if (volume.kind === 'claim') {
      const found = await kube.get({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: plan.namespace, name: volume.claim })
      if (!found.ok) return problem(`persistentvolumeclaim "${volume.claim}": ${found.problem.message}`)
    }
    if (volume.kind !== 'secret') continue
    const files = new Map<string, Buffer>()
    for (const source of volume.sources) {
      const read = await readSource(plan.namespace, source, kube)
      if (!read.ok) return read
      for (const [path, bytes] of read.value) files.set(path, bytes)
    }
    contents.set(volume.name, files)
  }
  return ok(contents)
}

async function readSource(namespace: string, source: SecretSource, kube: Kube): Promise<Result<SecretContents, VolumeProblem>> {
  const found = await kube.get({ apiVersion: 'v1', kind: 'Secret', namespace, name: source.secret })
  if (!found.ok) {
    if (found.problem.code === 'not_found' && source.optional) return ok(new Map())
    return problem(`secret "${source.secret}": ${found.problem.message}`)
  }
  const data = objectAt(found.value, 'data')
  const items = source.items ?? Object.keys(data).map((key) => ({ key, path: key }))
  const files = new Map<string, Buffer>()
  for (const { key, path } of items) {
    const value = data[key]
    if (typeof value === 'string') files.set(path, Buffer.from(value, 'base64'))
    else if (!source.optional) return problem(`secret "${source.secret}" has no key ${key}`)
  }
  return ok(files)
}

function problem(message: string): { readonly ok: false; readonly problem: VolumeProblem } {
  return fail({ code: 'CreateContainerConfigError', message })
}
