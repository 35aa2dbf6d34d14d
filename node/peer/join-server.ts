// The leader's side of joining: who may, and what changes. A follower only says where the leader is.
import type { Member, MembershipChange } from '../raft/membership.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { Clock } from '../replica/clock.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import type { Answerer } from './conversation.ts'
import { isSame } from './hello.ts'
import type { JoinAuthorizer } from './join-authorizer.ts'
import {
  joinQuestionSchema,
  type Credentials,
  type JoinAnswer,
  type JoinKind,
  type JoinProblemCode,
  type NodeRecord,
} from './join-words.ts'
import { changePatiently, type ChangeProblem } from './patient-change.ts'
import { pause } from './pause.ts'
import type { PeerEvent } from './peer-event.ts'
import type { Admitted } from './peer-listener.ts'

export interface JoinServerOptions {
  readonly cluster: () => ClusterIdentity | undefined
  readonly replica: () => Replica | undefined
  /** Incarnations under which `id` was a member and is none any more. */
  readonly removed: (id: NodeRecord['id']) => readonly string[]
  readonly authorizer: JoinAuthorizer
  readonly clock: Clock
  readonly onEvent: (event: PeerEvent) => void
}

/** Each may wait for a commit and for the check of a password. */
const joinsMax = 8
const pendingMsMax = 3_000
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
  readonly as: JoinKind
  readonly credentials: Credentials | undefined
}

async function judge(options: JoinServerOptions, caller: Admitted, asked: Asked): Promise<JoinAnswer> {
  const replica = options.replica()
  const cluster = options.cluster()
  if (replica === undefined || cluster === undefined) {
    // Nothing is told to one who may not join, not even that there is nothing to join.
    return (await mayJoin(options, caller, asked)) ? refused('not_in_a_cluster', 'this node belongs to no cluster yet') : denied(asked)
  }
  const present = replica.status().membership.members.find(({ id }) => id === asked.record.id)
  const isPresent = present !== undefined && isSame(present.incarnation, asked.record.incarnation)
  if (!isPresent && !(await mayJoin(options, caller, asked))) {
    // One of ours that lost its data directory should read in its log what has happened, not that it lacks a password.
    const isLost = present !== undefined && caller.hasVerifiedCertificate
    return isLost ? refused('member_of_another_incarnation', explain('member_of_another_incarnation', asked.record)) : denied(asked)
  }
  const untilMs = options.clock.monotonicMs() + pendingMsMax
  return changeAsLeader(options, replica, { clusterId: cluster.clusterId, asked, remoteAddress: caller.remoteAddress, untilMs })
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
  joining: { readonly clusterId: string; readonly asked: Asked; readonly remoteAddress: string; readonly untilMs: number },
): Promise<JoinAnswer> {
  const { asked, clusterId, untilMs } = joining
  const { record } = asked
  if (replica.status().role !== 'leader') return toLeader(replica)
  const change = changeFor(options, replica, asked)
  if (typeof change === 'string') return refused(change, explain(change, record))
  if (change !== undefined) {
    const changed = await changePatiently(replica, change, { clock: options.clock, untilMs })
    if (!changed.ok) return notChanged(replica, changed.problem)
    // Applied, but the core takes note of that in its next turn; the joiner wants to see itself.
    while (changeFor(options, replica, asked) !== undefined && options.clock.monotonicMs() < untilMs)
      await pause(options.clock, notedPauseMs)
    options.onEvent({ kind: 'node-joined', id: record.id, remoteAddress: joining.remoteAddress })
  }
  return { kind: 'joined', clusterId, membership: replica.status().membership }
}

type Refused = 'member_of_another_incarnation' | 'removed_member' | 'suffrage_differs' | 'address_taken'

/** Undefined: it is a member already, just as it says. */
function changeFor(options: JoinServerOptions, replica: Replica, { record, as }: Asked): MembershipChange | undefined | Refused {
  const { members } = replica.status().membership
  const present = members.find(({ id }) => id === record.id)
  if (present === undefined && options.removed(record.id).includes(record.incarnation)) return 'removed_member'
  if (present !== undefined && !isSame(present.incarnation, record.incarnation)) return 'member_of_another_incarnation'
  if (members.some(({ id, raftAddress }) => id !== record.id && raftAddress === record.raftAddress)) return 'address_taken'
  if (present === undefined) return { kind: as === 'voter' ? 'add-learner' : 'add-non-voter', member: record }
  if (kindOf(present) !== as) return 'suffrage_differs'
  if (present.raftAddress === record.raftAddress && present.apiUrl === record.apiUrl) return undefined
  return { kind: 'update-address', id: record.id, raftAddress: record.raftAddress, apiUrl: record.apiUrl }
}

/** As what a member has joined: a learner is to be a voter. */
export function kindOf({ suffrage }: Pick<Member, 'suffrage'>): JoinKind {
  return suffrage === 'non-voter' ? 'read-only' : 'voter'
}

function explain(code: Refused, { id, raftAddress }: NodeRecord): string {
  switch (code) {
    case 'address_taken':
      return `${raftAddress} is the address of another member`
    case 'member_of_another_incarnation':
      return `${id} is a member whose data directory is another one. Remove that member first (DELETE /remove with {"id":"${id}"}), or start this node under a new -node-id`
    case 'removed_member':
      return `this data directory belonged to a member ${id} that was removed. Delete it, and the node joins as a new one`
    case 'suffrage_differs':
      return `${id} is a member already, and a voter is never made a read-only node nor the reverse. Remove it first (DELETE /remove with {"id":"${id}"}) and delete its data directory`
  }
}

function toLeader(replica: Replica): JoinAnswer {
  const { leader, membership } = replica.status()
  const member = membership.members.find(({ id }) => id === leader)
  return member === undefined
    ? refused('leader_unknown', 'the cluster has no leader at the moment')
    : { kind: 'redirect', address: member.raftAddress }
}

function notChanged(replica: Replica, { code }: ChangeProblem): JoinAnswer {
  if (code === 'not_leader') return toLeader(replica)
  if (code === 'leader_unknown') return refused('leader_unknown', 'the cluster has no leader at the moment')
  // Asking again is harmless, even after `outcome_unknown`: adding a member that is one already changes nothing.
  return refused('join_failed', `the membership could not be changed (${code})`)
}

function denied({ as }: Asked): JoinAnswer {
  return refused('join_denied', `no credentials with the permission "${as === 'voter' ? 'join' : 'join-read-only'}" (-join-as)`)
}

function refused(code: JoinProblemCode, message: string): Extract<JoinAnswer, { kind: 'refused' }> {
  return { kind: 'refused', code, message }
}
