// Turns what the loop does by itself into log lines and metrics: snapshots, compaction, comparison of states, standing.
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import type { LoopEvent, SnapshotFetchProblem } from './loop-event.ts'
import type { ReplicaLoop } from './replica.ts'

const problems = [
  'unreachable',
  'snapshot_unavailable',
  'snapshot_gone',
  'snapshot_corrupt',
  'snapshot_outdated',
  'disk_refused',
] as const satisfies readonly SnapshotFetchProblem[]

export function loopReports(options: { readonly replica: ReplicaLoop; readonly log: Logger; readonly metrics: Metrics }): void {
  const { replica, log } = options
  const count = counters(options.metrics)
  let received: { readonly bytes: number; readonly receivedBytes: number } | undefined
  replica.onLoopEvent((event) => {
    received = transferAfter(event, received)
    count(event)
    write(log, event)
  })
  const gauge = (name: string, help: string, read: () => number): void =>
    options.metrics.gauge({ name: `securesql_raft_${name}`, help, read })
  gauge('log_base_index', 'Index of the last entry that the log has given up.', () => replica.logFacts().baseIndex)
  gauge('log_bytes', 'What the log occupies on disk.', () => replica.logFacts().bytes)
  gauge('is_removed', '1 where the cluster has removed this node: it serves nothing.', () => (replica.standing() === 'removed' ? 1 : 0))
  gauge('is_diverged', '1 where the database differs from the cluster’s: nothing is served until a snapshot has replaced it.', () =>
    replica.standing() === 'diverged' ? 1 : 0,
  )
  gauge('is_untrusted', '1 where the disk may have lost what it had acknowledged: no vote until everything is there again.', () =>
    replica.status().trust === 'untrusted' ? 1 : 0,
  )
  gauge('snapshot_fetch_expected_bytes', 'Size of the snapshot that is being fetched, 0 without one.', () => received?.bytes ?? 0)
  gauge('snapshot_fetch_received_bytes', 'What of it has been received, as of the last report.', () => received?.receivedBytes ?? 0)
}

function counters(metrics: Metrics): (event: LoopEvent) => void {
  const failures = metrics.counter({
    name: 'securesql_raft_snapshot_fetch_failures_total',
    help: 'Attempts to fetch a snapshot that failed and were, or will be, repeated, by code.',
    labels: { code: problems },
  })
  const received = metrics.counter({
    name: 'securesql_raft_snapshots_received_total',
    help: 'Snapshots received from another member, whole and checked.',
    labels: {},
  })
  const installed = metrics.counter({
    name: 'securesql_raft_snapshots_installed_total',
    help: 'Snapshots that have replaced the database.',
    labels: {},
  })
  const compactions = metrics.counter({
    name: 'securesql_raft_log_compactions_total',
    help: 'How often the beginning of the log was given up.',
    labels: {},
  })
  const divergences = metrics.counter({
    name: 'securesql_raft_divergences_total',
    help: 'How often the database was found to differ from the cluster’s.',
    labels: {},
  })
  return (event) => {
    if (event.kind === 'snapshot-fetch-failed') failures.add({ code: event.problem })
    if (event.kind === 'snapshot-received') received.add({})
    if (event.kind === 'snapshot-installed') installed.add({})
    if (event.kind === 'log-compacted') compactions.add({})
    if (event.kind === 'diverged') divergences.add({})
  }
}

function transferAfter<Transfer>(event: LoopEvent, before: Transfer | undefined) {
  switch (event.kind) {
    case 'snapshot-fetch-begun':
    case 'snapshot-fetch-progress':
      return { bytes: event.bytes, receivedBytes: event.receivedBytes }
    case 'snapshot-received':
    case 'snapshot-installed':
      return undefined
    case 'snapshot-fetch-failed':
    case 'log-compacted':
    case 'diverged':
    case 'standing-changed':
      return before
  }
}

function write(log: Logger, event: LoopEvent): void {
  switch (event.kind) {
    case 'snapshot-fetch-begun': {
      const { from, index, bytes, receivedBytes } = event
      return log.info(
        { from, index, bytes, receivedBytes },
        receivedBytes === 0 ? 'fetching a snapshot' : 'fetching the rest of a snapshot',
      )
    }
    case 'snapshot-fetch-progress': {
      const { from, index, bytes, receivedBytes } = event
      return log.info({ from, index, bytes, receivedBytes }, 'still fetching a snapshot')
    }
    case 'snapshot-fetch-failed':
      return log.warn({ from: event.from, code: event.problem }, 'a snapshot could not be fetched, trying again')
    case 'snapshot-received':
      return log.info({ from: event.from, index: event.index, bytes: event.bytes }, 'snapshot received')
    case 'snapshot-installed':
      return log.info({ index: event.index, term: event.term }, 'a snapshot has replaced the database')
    case 'log-compacted':
      return log.info({ index: event.base.index, term: event.base.term }, 'the beginning of the log was given up')
    case 'diverged': {
      const { index, own, expected } = event.divergence
      return log.error(
        { index, own, expected },
        'the database differs from the cluster’s: nothing is served until a snapshot has replaced it',
      )
    }
    case 'standing-changed':
      if (event.standing === 'removed') return log.warn('this node has been removed from the cluster: it serves nothing')
      return log.info({ standing: event.standing }, 'standing changed')
  }
}
