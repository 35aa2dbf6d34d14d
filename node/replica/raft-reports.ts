// Turns what happens in the consensus into log lines and metrics: elections, leadership, membership (who came, who went). What the loop does by itself: loop-reports.ts.
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import type { RaftEvent } from '../raft/raft-port.ts'
import { loopReports } from './loop-reports.ts'
import type { Replica } from './replica-port.ts'
import type { ReplicaLoop } from './replica.ts'

const kinds = [
  'became-follower',
  'became-pre-candidate',
  'became-candidate',
  'became-leader',
  'stepped-down',
  'membership-changed',
  'snapshot-needed',
  'member-lost-entries',
  'trust-changed',
] as const satisfies readonly RaftEvent['kind'][]

export function raftReports(options: { readonly replica: ReplicaLoop; readonly logger: Logger; readonly metrics: Metrics }): void {
  const { replica, metrics } = options
  const log = options.logger.child({ part: 'raft' })
  const counter = metrics.counter({
    name: 'securesql_raft_events_total',
    help: 'Changes of role and membership, by kind.',
    labels: { kind: kinds },
  })
  replica.onEvent((event) => {
    counter.add({ kind: event.kind })
    write(log, event)
  })
  gauges(metrics, replica)
  loopReports({ replica, log, metrics })
}

function write(log: Logger, event: RaftEvent): void {
  switch (event.kind) {
    case 'became-leader':
      return log.info({ term: event.term }, 'this node leads')
    case 'became-follower':
      return log.info({ term: event.term, leader: event.leader }, event.leader === undefined ? 'no leader' : 'following a leader')
    case 'became-pre-candidate':
    case 'became-candidate':
      return log.info({ term: event.term }, 'standing for election')
    case 'stepped-down':
      return log.warn({ term: event.term, why: event.why }, 'leadership ended')
    case 'membership-changed':
      // Addresses and votes only: an incarnation is never logged.
      return log.info(
        { members: event.membership.members.map(({ id, raftAddress, suffrage }) => ({ id, raftAddress, suffrage })) },
        'membership changed',
      )
    case 'snapshot-needed':
      return log.info({ id: event.id }, 'a member needs a snapshot: the log no longer holds what it lacks')
    case 'member-lost-entries':
      return log.error({ id: event.id, acknowledgedIndex: event.acknowledgedIndex }, 'a member has lost entries that it had acknowledged')
    case 'trust-changed':
      return log.warn({ trust: event.trust }, 'trust in the own disk changed')
  }
}

function gauges(metrics: Metrics, replica: Replica): void {
  const gauge = (name: string, help: string, read: () => number): void => metrics.gauge({ name: `securesql_raft_${name}`, help, read })
  gauge('term', 'Current term.', () => replica.status().term)
  gauge('commit_index', 'Index of the last entry known to be committed.', () => replica.status().commitIndex)
  gauge('applied_index', 'Index of the last entry in the database.', () => replica.status().appliedIndex)
  gauge('last_index', 'Index of the last entry of the log.', () => replica.status().lastIndex)
  gauge('is_leader', '1 on the leader.', () => (replica.status().role === 'leader' ? 1 : 0))
  gauge('has_leader', '1 where a leader is known.', () => (replica.status().leader === undefined ? 0 : 1))
  gauge('leader_contact_age_seconds', 'Since this node last heard from its leader.', () => replica.leaderContactAgeMs() / 1000)
}
