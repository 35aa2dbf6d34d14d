// What to run for a Pod, read from its object: one container, its command line, environment, folders and probe. PURE. What the local runtime cannot do is refused
// by name, not left out: a pod that runs with half of its specification would prove nothing.
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import { isJsonObject, listAt, numberAt, objectAt, textAt } from '../kube/json-object.ts'
import type { JsonObject } from '../kube/json-object.ts'
import type { KubeObject } from '../kube/kube.ts'

export interface PodPlan {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly container: ContainerPlan
  readonly volumes: readonly VolumePlan[]
  readonly gracePeriodMs: number
}

export interface ContainerPlan {
  readonly name: string
  readonly image: string
  /** Replaces the image's own program when it is not empty. */
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly env: readonly EnvPlan[]
  readonly mounts: readonly MountPlan[]
  readonly startup: ProbePlan | undefined
  readonly readiness: ProbePlan | undefined
  readonly liveness: ProbePlan | undefined
}

export type EnvPlan = { readonly name: string } & ({ readonly value: string } | { readonly field: string })

export interface MountPlan {
  readonly volume: string
  readonly path: string
  readonly subPath: string
}

/** `secret`: the files of one folder, each from a key of a Secret. */
export type VolumePlan =
  | { readonly kind: 'secret'; readonly name: string; readonly sources: readonly SecretSource[] }
  | { readonly kind: 'claim'; readonly name: string; readonly claim: string }
  | { readonly kind: 'scratch'; readonly name: string }

export interface SecretSource {
  readonly secret: string
  readonly optional: boolean
  /** Undefined: every key, under its own name. */
  readonly items: readonly { readonly key: string; readonly path: string }[] | undefined
}

export interface ProbePlan {
  readonly scheme: 'http' | 'https'
  readonly port: number
  readonly path: string
  readonly initialDelayMs: number
  readonly periodMs: number
  readonly timeoutMs: number
  readonly successThreshold: number
  readonly failureThreshold: number
}

/** Why a pod cannot run here; shown as the container's waiting reason. */
export interface PodPlanProblem {
  readonly code: 'unsupported_pod'
  readonly message: string
}

// What becomes a part of a path on this machine. The API server has checked pods of its own; this runtime also reads those of an in-memory twin, which has not.
const nameForm = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const nameLengthMax = 253

/** Kubernetes' own default. */
const gracePeriodSecondsDefault = 30

class Unsupported extends Error {}

export function planPod(pod: KubeObject): Result<PodPlan, PodPlanProblem> {
  try {
    return ok(read(pod))
  } catch (cause) {
    if (cause instanceof Unsupported) return fail({ code: 'unsupported_pod', message: `the local runtime cannot run ${cause.message}` })
    throw cause
  }
}

function read(pod: KubeObject): PodPlan {
  const spec = objectAt(pod, 'spec')
  const containers = listAt(spec, 'containers')
  const [container] = containers
  if (containers.length !== 1 || !isJsonObject(container)) throw new Unsupported(`a pod of ${containers.length} containers`)
  if (listAt(spec, 'initContainers').length > 0) throw new Unsupported('init containers')
  return {
    namespace: checkedName(pod.metadata.namespace ?? ''),
    name: checkedName(pod.metadata.name),
    uid: pod.metadata.uid ?? '',
    container: readContainer(container),
    volumes: listAt(spec, 'volumes').map(readVolume),
    gracePeriodMs: (numberAt(spec, 'terminationGracePeriodSeconds') ?? gracePeriodSecondsDefault) * 1_000,
  }
}

function readContainer(container: JsonObject): ContainerPlan {
  if (listAt(container, 'envFrom').length > 0) throw new Unsupported('envFrom')
  if (container['lifecycle'] !== undefined) throw new Unsupported('lifecycle hooks')
  return {
    name: textAt(container, 'name') ?? '',
    image: textAt(container, 'image') ?? '',
    command: listAt(container, 'command').map(String),
    args: listAt(container, 'args').map(String),
    env: listAt(container, 'env').map(readEnv),
    mounts: listAt(container, 'volumeMounts').map((mount) => ({
      volume: textAt(mount, 'name') ?? '',
      path: textAt(mount, 'mountPath') ?? '',
      subPath: checkedSubPath(textAt(mount, 'subPath') ?? ''),
    })),
    startup: readProbe(container, 'startupProbe'),
    readiness: readProbe(container, 'readinessProbe'),
    liveness: readProbe(container, 'livenessProbe'),
  }
}

function readEnv(entry: unknown): EnvPlan {
  const name = textAt(entry, 'name') ?? ''
  const from = objectAt(entry, 'valueFrom')
  const field = textAt(objectAt(from, 'fieldRef'), 'fieldPath')
  if (field !== undefined) return { name, field }
  // A Secret in an environment is a Secret in every crash report of the process.
  if (Object.keys(from).length > 0) throw new Unsupported(`the source of the variable ${name}`)
  return { name, value: textAt(entry, 'value') ?? '' }
}

function readVolume(volume: unknown): VolumePlan {
  const name = checkedName(textAt(volume, 'name') ?? '')
  if (!isJsonObject(volume)) throw new Unsupported('a volume that is no object')
  if (isJsonObject(volume['emptyDir'])) return { kind: 'scratch', name }
  const claim = textAt(volume['persistentVolumeClaim'], 'claimName')
  if (claim !== undefined) return { kind: 'claim', name, claim: checkedName(claim) }
  if (isJsonObject(volume['secret'])) return { kind: 'secret', name, sources: [readSource(volume['secret'], 'secretName')] }
  if (isJsonObject(volume['projected'])) {
    const sources = listAt(volume['projected'], 'sources').map((source) => {
      if (!isJsonObject(source) || !isJsonObject(source['secret'])) throw new Unsupported(`a source of the volume ${name}`)
      return readSource(source['secret'], 'name')
    })
    return { kind: 'secret', name, sources }
  }
  throw new Unsupported(`the volume ${name}`)
}

function checkedName(name: string): string {
  if (name.length > nameLengthMax || !nameForm.test(name)) throw new Unsupported(`what is called ${JSON.stringify(name)}`)
  return name
}

/** Within the volume, whatever is there: `..` is refused wherever it stands, as the API server does. */
function checkedSubPath(path: string): string {
  if (path.startsWith('/') || path.split('/').includes('..')) throw new Unsupported(`the subPath ${JSON.stringify(path)}`)
  return path
}

function readSource(source: JsonObject, nameField: string): SecretSource {
  const items = listAt(source, 'items').map((item) => ({ key: textAt(item, 'key') ?? '', path: textAt(item, 'path') ?? '' }))
  return { secret: textAt(source, nameField) ?? '', optional: source['optional'] === true, items: items.length === 0 ? undefined : items }
}

/** Kubernetes' defaults where a field is absent. */
function readProbe(container: JsonObject, field: string): ProbePlan | undefined {
  const probe = container[field]
  if (probe === undefined) return undefined
  const get = objectAt(probe, 'httpGet')
  if (Object.keys(get).length === 0) throw new Unsupported(`a ${field} that is no httpGet`)
  const seconds = (name: string, absent: number): number => (numberAt(probe, name) ?? absent) * 1_000
  return {
    scheme: textAt(get, 'scheme') === 'HTTPS' ? 'https' : 'http',
    port: portOf(container, get['port']),
    path: textAt(get, 'path') ?? '/',
    initialDelayMs: seconds('initialDelaySeconds', 0),
    periodMs: seconds('periodSeconds', 10),
    timeoutMs: seconds('timeoutSeconds', 1),
    successThreshold: numberAt(probe, 'successThreshold') ?? 1,
    failureThreshold: numberAt(probe, 'failureThreshold') ?? 3,
  }
}

/** A probe names a port by number or by the container's own name for it. */
function portOf(container: JsonObject, port: unknown): number {
  if (typeof port === 'number') return port
  const named = listAt(container, 'ports').find((candidate) => textAt(candidate, 'name') === port)
  const number = numberAt(named, 'containerPort')
  if (number === undefined) throw new Unsupported(`a probe of the port ${String(port)}`)
  return number
}
