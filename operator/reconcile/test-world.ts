// A world for tests of the reconciler: the in-memory API server, members that say what they are told to, and a clock that stands still.
import { OwnCredentials } from '../credentials/own-credentials.ts'
import type { Installation } from '../desired/installation.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Kube, KubeObject, KubeResult } from '../kube/kube.ts'
import { MemoryKube } from '../kube/memory-kube.ts'
import type { Admit } from '../kube/memory-kube.ts'
import type { MemberReport, Members } from '../members/members.ts'
import { objectKey } from './observation.ts'
import { Reconciler } from './reconciler.ts'
import type { ReconcileOutcome } from './reconciler.ts'
import type { ReconcileEvent } from './reconcile-event.ts'

export const installation: Installation = {
  operatorNamespace: 'securesql-system',
  nodeImage: 'securesql-node:test',
  extraDnsNames: [],
  extraIpAddresses: [],
}
export const clusterRef = { namespace: 'shop', name: 'orders' }
const startMs = Date.UTC(2027, 0, 1)
// More passes than any change needs; a reconciler that never settles fails here.
const passesMax = 30

export interface Write {
  readonly verb: 'apply' | 'applyStatus' | 'create' | 'replace' | 'remove'
  readonly object: string
}

/** Counts writes, and can fail at the k-th: before it is done, or after it is done but before the operator knows. */
export class WatchedKube {
  readonly writes: Write[] = []
  failAt: { readonly write: number; readonly when: 'before' | 'after' } | undefined
  readonly kube: Kube

  constructor(inner: Kube) {
    const guarded = async <Value>(write: Write, run: () => Promise<KubeResult<Value>>): Promise<KubeResult<Value>> => {
      const died = fail({ code: 'unreachable' as const, message: 'the operator died' })
      const due = this.failAt !== undefined && this.writes.length >= this.failAt.write
      // The dead write nothing more: of `after`, one write is done.
      if (due && (this.failAt?.when === 'before' || this.writes.length > (this.failAt?.write ?? 0))) return died
      this.writes.push(write)
      const result = await run()
      return due ? died : result
    }
    this.kube = {
      get: (ref) => inner.get(ref),
      list: (kind, options) => inner.list(kind, options),
      watch: (kind, options) => inner.watch(kind, options),
      create: (object) => guarded({ verb: 'create', object: objectKey(object) }, () => inner.create(object)),
      replace: (object) => guarded({ verb: 'replace', object: objectKey(object) }, () => inner.replace(object)),
      apply: (object, manager) => guarded({ verb: 'apply', object: objectKey(object) }, () => inner.apply(object, manager)),
      applyStatus: (object, manager) =>
        guarded({ verb: 'applyStatus', object: objectKey(object) }, () => inner.applyStatus(object, manager)),
      remove: (ref, options) => guarded({ verb: 'remove', object: `${ref.kind} ${ref.name}` }, () => inner.remove(ref, options)),
    }
  }
}

export interface World {
  readonly api: MemoryKube
  readonly watched: WatchedKube
  readonly credentials: OwnCredentials
  readonly events: ReconcileEvent[]
  /** By member; those that are absent do not answer. */
  readonly answers: Map<string, MemberReport>
  nowMs: number
  /** A new process: nothing is remembered but what the API server has. */
  reconciler(): Reconciler
  pass(): Promise<ReconcileOutcome>
  /** Passes until one writes nothing. */
  settle(): Promise<void>
  object(kind: string, name: string): Promise<KubeObject | undefined>
  user(spec: unknown): Promise<void>
}

const apiVersions: Readonly<Record<string, string>> = {
  Secret: 'v1',
  Service: 'v1',
  ServiceAccount: 'v1',
  NetworkPolicy: 'networking.k8s.io/v1',
  StatefulSet: 'apps/v1',
  PodDisruptionBudget: 'policy/v1',
  SecureSqlCluster: 'securesql.dev/v1alpha1',
}

/** Two worlds may share credentials: issuing is the same, and a thread each would be slow. */
export function newWorld(credentials: OwnCredentials, admit?: Admit): World {
  let uid = 0
  const api = new MemoryKube({ now: () => new Date(world.nowMs), newUid: () => `uid-${++uid}`, ...(admit === undefined ? {} : { admit }) })
  const answers = new Map<string, MemberReport>()
  const members: Members = {
    report: async (address) => {
      const report = answers.get(address.name)
      return report === undefined ? fail({ code: 'member_unreachable', message: 'ECONNREFUSED' }) : ok(report)
    },
  }
  const watched = new WatchedKube(api)
  const events: ReconcileEvent[] = []
  const world: World = {
    api,
    watched,
    credentials,
    events,
    answers,
    nowMs: startMs,
    reconciler: () =>
      new Reconciler({
        kube: watched.kube,
        members,
        credentials,
        installation,
        now: () => world.nowMs,
        report: (event) => events.push(event),
      }),
    pass: () => world.reconciler().reconcile(clusterRef),
    settle: async () => {
      for (let passes = 0; passes < passesMax; passes++) {
        const before = watched.writes.length
        await world.pass()
        if (watched.writes.length === before) return
      }
      throw new Error(
        `not settled after ${passesMax} passes: ${watched.writes
          .slice(-10)
          .map((write) => `${write.verb} ${write.object}`)
          .join(', ')}`,
      )
    },
    object: async (kind, name) => {
      const found = await api.get({ apiVersion: apiVersions[kind] ?? '', kind, namespace: clusterRef.namespace, name })
      return found.ok ? found.value : undefined
    },
    user: async (spec) => {
      const applied = await api.apply(
        { apiVersion: 'securesql.dev/v1alpha1', kind: 'SecureSqlCluster', metadata: clusterRef, spec },
        'kubectl',
      )
      if (!applied.ok) throw new Error(applied.problem.message)
    },
  }
  return world
}

/** Every member answers, is ready, and follows the first. */
export function allReady(world: World, count: number): void {
  for (let ordinal = 0; ordinal < count; ordinal++)
    world.answers.set(`orders-${ordinal}`, report(`orders-${ordinal}`, { role: ordinal === 0 ? 'leader' : 'follower' }))
}

export function report(name: string, fields: Partial<MemberReport> = {}): MemberReport {
  return {
    name,
    ready: true,
    role: 'follower',
    term: 1,
    commitIndex: 1,
    appliedIndex: 1,
    leader: 'orders-0',
    members: [],
    version: '0.1.0',
    ...fields,
  }
}

export async function secretOf(world: World, name: string, data: Readonly<Record<string, string>>): Promise<void> {
  const encoded = Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]))
  const applied = await world.api.apply(
    { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: clusterRef.namespace }, data: encoded },
    'kubectl',
  )
  if (!applied.ok) throw new Error(applied.problem.message)
}

export async function textOf(world: World, name: string, key: string): Promise<string> {
  const data = ((await world.object('Secret', name))?.['data'] ?? {}) as Record<string, string>
  return Buffer.from(data[key] ?? '', 'base64').toString()
}
