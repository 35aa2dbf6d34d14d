// The leader's side of joining: who may, and what changes. A follower only says where the leader is.
import type { Result } from '../../runtime/result.ts'
import type { MembershipChange } from '../raft/membership.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { Clock } from '../replica/clock.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import type { Answerer } from './conversation.ts'
import { isSame } from './hello.ts'
import type { JoinAuthorizer } from './join-authorizer.ts'
import { joinQuestionSchema, type Credentials, type JoinAnswer, type JoinProblemCode, type NodeRecord } from './join-words.ts'
import { pause } from './pause.ts'
import type { PeerEvent } from './peer-event.ts'
import type { Admitted } from './peer-listener.ts'

export interface JoinServerOptions {
  readonly cluster: () => ClusterIdentity | undefined
  readonly replica: () => Replica | undefined
  readonly authorizer: JoinAuthorizer
  readonly clock: Clock
  readonly onEvent: (event: PeerEvent) => void
}

/** Each may wait for a commit and for the check of a password. */
const joinsMax = 8
const changeMsMax = 10_000
const pendingMsMax = 3_000
const pendingPauseMs = 50
const notedPauseMs = 5

export function joinAnswerer(options: JoinServerOptions): Answerer {
  let running = 0
  return async (question, caller) => {
    const asked = joinQuestionSchema.safeParse(question)
    if (!asked.success || asked.data.record.id !== caller.hello.nodeId) return refused('join_malformed', 'the request to join is malformed')
    const { record, as, credentials } = asked.data
    if (running >= joinsMax) return refused('busy', 'too many nodes are joining')
    running += 1
    try {
      const answer = await judge(options, caller, { record, as, credentials })
      if (answer.kind === 'refused')
        options.onEvent({ kind: 'join-refused', id: record.id, code: answer.code, remoteAddress: caller.remoteAddress })
      return answer
    } finally {
      running -= 1
    }
  }
}

interface Asked {
  readonly record: NodeRecord
  readonly as: 'voter' | 'read-only'
  readonly credentials: Credentials | undefined
}

async function judge(options: JoinServerOptions, caller: Admitted, asked: Asked): Promise<JoinAnswer> {
  const replica = options.replica()
  const cluster = options.cluster()
  if (replica === undefined || cluster === undefined) {
    // Nothing is told to one who may not join, not even that there is nothing to join.
    return (await mayJoin(options, caller, asked)) ? refused('not_in_a_cluster', 'this node belongs to no cluster yet') : denied()
  }
  const present = replica.status().membership.members.find(({ id }) => id === asked.record.id)
  const isPresent = present !== undefined && isSame(present.incarnation, asked.record.incarnation)
  if (!isPresent && !(await mayJoin(options, caller, asked))) {
    // One of ours that lost its data directory should read in its log what has happened, not that it lacks a password.
    const isLost = present !== undefined && caller.hasVerifiedCertificate
    return isLost ? refused('member_of_another_incarnation', explain('member_of_another_incarnation', asked.record)) : denied()
  }
  if (asked.as === 'read-only') return refused('not_supported_yet', 'read-only nodes are not supported yet')
  const untilMs = options.clock.monotonicMs() + pendingMsMax
  return changeAsLeader(options, replica, {
    clusterId: cluster.clusterId,
    record: asked.record,
    remoteAddress: caller.remoteAddress,
    untilMs,
  })
}

/**
 * A certificate of the node CA lets a caller speak, not join: a stolen key of one node would make any number of voters, and each would hold all data.
 * Forming a cluster is another matter (formation-server.ts): there is no data yet, and each founder takes exactly the number it expects.
 */
function mayJoin(options: JoinServerOptions, caller: Admitted, asked: Asked): Promise<boolean> {
  return options.authorizer.authorize(asked.credentials, asked.as === 'voter' ? 'join' : 'join-read-only', caller)
}

async function changeAsLeader(
  options: JoinServerOptions,
  replica: Replica,
  joining: { readonly clusterId: string; readonly record: NodeRecord; readonly remoteAddress: string; readonly untilMs: number },
): Promise<JoinAnswer> {
  const { record, clusterId } = joining
  if (replica.status().role !== 'leader') return toLeader(replica)
  const change = changeFor(replica, record)
  if (typeof change === 'string') return refused(change, explain(change, record))
  if (change !== undefined) {
    const changed = await replica.changeMembership(change, { timeoutMs: changeMsMax })
    if (!changed.ok && changed.problem.code === 'membership_change_pending' && options.clock.monotonicMs() < joining.untilMs) {
      // One change at a time, and none before the leader has committed an entry of its term: both pass.
      await pause(options.clock, pendingPauseMs)
      return changeAsLeader(options, replica, joining)
    }
    if (!changed.ok) return notChanged(replica, changed)
    // Applied, but the core takes note of that in its next turn; the joiner wants to see itself.
    while (changeFor(replica, record) !== undefined && options.clock.monotonicMs() < joining.untilMs)
      await pause(options.clock, notedPauseMs)
    options.onEvent({ kind: 'node-joined', id: record.id, remoteAddress: joining.remoteAddress })
  }
  return { kind: 'joined', clusterId, membership: replica.status().membership }
}

/** Undefined: it is a member already, just as it says. */
function changeFor(replica: Replica, record: NodeRecord): MembershipChange | undefined | 'member_of_another_incarnation' | 'address_taken' {
  const { members } = replica.status().membership
  if (members.some(({ id, raftAddress }) => id !== record.id && raftAddress === record.raftAddress)) return 'address_taken'
  const present = members.find(({ id }) => id === record.id)
  if (present === undefined) return { kind: 'add-learner', member: record }
  if (!isSame(present.incarnation, record.incarnation)) return 'member_of_another_incarnation'
  if (present.raftAddress === record.raftAddress && present.apiUrl === record.apiUrl) return undefined
  return { kind: 'update-address', id: record.id, raftAddress: record.raftAddress, apiUrl: record.apiUrl }
}

function explain(code: 'member_of_another_incarnation' | 'address_taken', record: NodeRecord): string {
  return code === 'address_taken'
    ? `${record.raftAddress} is the address of another member`
    : `${record.id} is a member whose data directory is another one. A node that lost its data must come back under a new -node-id, or the old member must be removed first`
}

function toLeader(replica: Replica): JoinAnswer {
  const { leader, membership } = replica.status()
  const member = membership.members.find(({ id }) => id === leader)
  return member === undefined
    ? refused('leader_unknown', 'the cluster has no leader at the moment')
    : { kind: 'redirect', address: member.raftAddress }
}

function notChanged(replica: Replica, changed: Extract<Result<unknown, { readonly code: string }>, { readonly ok: false }>): JoinAnswer {
  const { code } = changed.problem
  if (code === 'not_leader') return toLeader(replica)
  if (code === 'leader_unknown') return refused('leader_unknown', 'the cluster has no leader at the moment')
  // Asking again is harmless, even after `outcome_unknown`: adding a member that is one already changes nothing.
  return refused('join_failed', `the membership could not be changed (${code})`)
}

function denied(): JoinAnswer {
  return refused('join_denied', 'no credentials with the permission "join" (-join-as)')
}

function refused(code: JoinProblemCode, message: string): Extract<JoinAnswer, { kind: 'refused' }> {
  return { kind: 'refused', code, message }
}
