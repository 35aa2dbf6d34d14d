// A pod's status as a kubelet writes it. PURE.
import type { JsonObject } from '../kube/json-object.ts'
import type { ExitReport } from './local-process.ts'

/** What a pod's container is doing. */
export type ContainerPhase =
  | { readonly kind: 'waiting'; readonly reason: string; readonly message: string }
  | { readonly kind: 'running'; readonly startedAt: string }

export interface PodFacts {
  readonly container: string
  readonly image: string
  readonly address: string
  readonly phase: ContainerPhase
  readonly ready: boolean
  readonly restarts: number
  readonly lastExit: (ExitReport & { readonly finishedAt: string }) | undefined
  /** When `ready` last changed. */
  readonly readySince: string
  /** When the pod was taken on. */
  readonly acceptedAt: string
}

export function podStatus(facts: PodFacts): JsonObject {
  const { phase, ready, address } = facts
  const started = phase.kind === 'running' || facts.restarts > 0
  return {
    phase: started ? 'Running' : 'Pending',
    podIP: address,
    podIPs: [{ ip: address }],
    startTime: facts.acceptedAt,
    conditions: [
      condition('PodScheduled', true, facts.acceptedAt),
      condition('Initialized', true, facts.acceptedAt),
      condition('ContainersReady', ready, facts.readySince),
      condition('Ready', ready, facts.readySince),
    ],
    containerStatuses: [containerStatus(facts)],
  }
}

function condition(type: string, status: boolean, at: string): JsonObject {
  const reason = status ? {} : { reason: 'ContainersNotReady' }
  return { type, status: status ? 'True' : 'False', lastTransitionTime: at, ...reason }
}

function containerStatus(facts: PodFacts): JsonObject {
  const { phase, lastExit } = facts
  return {
    name: facts.container,
    image: facts.image,
    imageID: `local://${facts.image}`,
    ready: facts.ready,
    started: phase.kind === 'running',
    restartCount: facts.restarts,
    state:
      phase.kind === 'running'
        ? { running: { startedAt: phase.startedAt } }
        : { waiting: { reason: phase.reason, message: phase.message } },
    lastState:
      lastExit === undefined
        ? {}
        : { terminated: { exitCode: lastExit.exitCode, reason: lastExit.reason, finishedAt: lastExit.finishedAt } },
  }
}
