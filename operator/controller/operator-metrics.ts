// The operator's metrics, made from what its parts report. Label values are closed lists: no name of a cluster is a label, since anybody who may create
// resources could fill the memory with them.
import { Metrics } from '../../runtime/metrics.ts'
import type { ReconcileEvent } from '../reconcile/reconcile-event.ts'
import type { ControllerEvent } from './controller.ts'

const outcomes = ['done', 'again', 'failed'] as const
const writtenKinds = ['NetworkPolicy', 'PodDisruptionBudget', 'Secret', 'Service', 'ServiceAccount', 'StatefulSet'] as const
const watchedKinds = [...writtenKinds, 'Pod', 'SecureSqlCluster'] as const
const problemCodes = [
  'not_found',
  'conflict',
  'already_exists',
  'gone',
  'invalid',
  'forbidden',
  'unauthorized',
  'too_many_requests',
  'unreachable',
] as const
// From "nothing to do, in memory" to "waited for dead members and a slow API server".
const bucketSeconds = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10]

export interface OperatorMetrics {
  readonly contentType: string
  render(): Promise<string>
  controllerEvent(event: ControllerEvent): void
  reconcileEvent(event: ReconcileEvent): void
}

/** `leading`, and how many clusters wait or are worked on, are asked when somebody fetches. */
export function operatorMetrics(read: { readonly leading: () => boolean; readonly waiting: () => number }): OperatorMetrics {
  const metrics = new Metrics()
  const passes = metrics.counter({
    name: 'securesql_operator_reconciles_total',
    help: 'Passes over a cluster.',
    labels: { outcome: outcomes },
  })
  const seconds = metrics.timing({ name: 'securesql_operator_reconcile_seconds', help: 'How long a pass took.', labels: {}, bucketSeconds })
  const writes = metrics.counter({
    name: 'securesql_operator_writes_total',
    help: 'Objects that were to be written, by kind.',
    labels: { kind: writtenKinds },
  })
  const problems = metrics.counter({
    name: 'securesql_operator_api_problems_total',
    help: 'Passes that the API server cut short.',
    labels: { code: problemCodes },
  })
  const invalid = metrics.counter({
    name: 'securesql_operator_invalid_specs_total',
    help: 'Passes over a resource that does not satisfy the schema.',
    labels: {},
  })
  const restarts = metrics.counter({
    name: 'securesql_operator_watch_restarts_total',
    help: 'Watches that had to begin anew after a problem.',
    labels: { kind: watchedKinds },
  })
  metrics.gauge({
    name: 'securesql_operator_leading',
    help: '1 while this operator is the one that acts.',
    read: () => (read.leading() ? 1 : 0),
  })
  metrics.gauge({ name: 'securesql_operator_queue_depth', help: 'Clusters that wait for a pass.', read: read.waiting })
  return {
    contentType: metrics.contentType,
    render: () => metrics.render(),
    controllerEvent(event) {
      if (event.kind === 'watch_restarted') {
        const kind = watchedKinds.find((known) => known === event.watched)
        if (kind !== undefined) restarts.add({ kind })
        return
      }
      passes.add({ outcome: event.outcome })
      seconds.observe({}, event.durationMs / 1000)
    },
    reconcileEvent(event) {
      if (event.kind === 'spec-invalid') invalid.add({})
      else if (event.kind === 'failed') problems.add({ code: event.problem.code })
      else for (const action of event.actions) countWrite(action.object)
    },
  }

  function countWrite(object: string): void {
    const kind = writtenKinds.find((known) => object.startsWith(`${known} `))
    if (kind !== undefined) writes.add({ kind })
  }
}
