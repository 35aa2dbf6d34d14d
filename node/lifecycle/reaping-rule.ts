// Whom the leader takes out of the cluster because nobody has heard of it for long (-raft-reap-node-timeout). PURE: samples in, at most one name out.
//
// The rule. A member is silent while this leader does not hear from it, counted only as far as this very leader has, without a break, been heard by a quorum itself:
// a new term, a moment without quorum, or a sample that came late (the process slept, and heard nobody) begins the count anew. A silent voter goes only if
//   1. what remains has at least as many voters as a quorum of the configured size: the most voters this leader has seen, or -bootstrap-expect if that is more;
//   2. of what remains, a quorum is heard of now.
// So three may become two and five three, never fewer under one leader, however long the others are away. A later leader knows only the voters that it finds: without
// -bootstrap-expect it may bring those three to two; two stay two. Each removal is committed by a majority, so two halves of a cluster never both go on.
// Members without a vote go when they were silent for long enough.
import type { NodeId } from '../raft/membership.ts'
import { majorityOf } from '../raft/quorum.ts'
import type { RaftStatus } from '../raft/raft-port.ts'

export interface ReapingRule {
  /** Undefined: never. */
  readonly voterMs: number | undefined
  readonly nonVoterMs: number | undefined
  /** `-bootstrap-expect`; 0: not given. */
  readonly expectedVoters: number
  /** How often samples are taken. */
  readonly intervalMs: number
}

export interface Sample {
  /** Monotonic. */
  readonly nowMs: number
  readonly status: Pick<RaftStatus, 'id' | 'role' | 'term' | 'membership' | 'followers'>
}

/** What this leader remembers from one sample to the next. */
export interface Vigil {
  readonly term: number
  readonly sampledAtMs: number
  readonly votersSeenMax: number
  /** Since when a member has been silent. */
  readonly silentSinceMs: ReadonlyMap<NodeId, number>
}

// A sample may come late by this much before it counts as sleep.
const intervalsMax = 3

/** Undefined: this node does not lead, or no quorum hears it. */
export function keepVigil(before: Vigil | undefined, sample: Sample, { intervalMs }: ReapingRule): Vigil | undefined {
  const { nowMs, status } = sample
  if (status.role !== 'leader') return undefined
  const heard = heardOf(status)
  const voters = votersOf(status)
  if (voters.filter((id) => heard.has(id)).length < majorityOf(voters.length)) return undefined
  const isUnbroken = before?.term === status.term && nowMs - before.sampledAtMs <= intervalsMax * intervalMs
  const known = isUnbroken ? before : undefined
  const silent = status.membership.members.filter(({ id }) => !heard.has(id))
  return {
    term: status.term,
    sampledAtMs: nowMs,
    votersSeenMax: Math.max(voters.length, known?.votersSeenMax ?? 0),
    silentSinceMs: new Map(silent.map(({ id }) => [id, known?.silentSinceMs.get(id) ?? nowMs])),
  }
}

/** The member that has been silent the longest among those that may go. */
export function whomToReap(vigil: Vigil, { status, nowMs }: Sample, rule: ReapingRule): NodeId | undefined {
  const heard = heardOf(status)
  const voters = votersOf(status)
  const configured = Math.max(vigil.votersSeenMax, rule.expectedVoters)
  const heardVoters = voters.filter((id) => heard.has(id)).length
  const mayVoterGo = voters.length - 1 >= majorityOf(configured) && heardVoters >= majorityOf(voters.length - 1)
  const due = status.membership.members.filter(({ id, suffrage }) => {
    const sinceMs = vigil.silentSinceMs.get(id)
    const timeoutMs = suffrage === 'non-voter' ? rule.nonVoterMs : rule.voterMs
    if (id === status.id || heard.has(id) || sinceMs === undefined || timeoutMs === undefined) return false
    return nowMs - sinceMs >= timeoutMs && (suffrage !== 'voter' || mayVoterGo)
  })
  const silentSinceMs = (id: NodeId): number => vigil.silentSinceMs.get(id) ?? nowMs
  return due.toSorted((a, b) => silentSinceMs(a.id) - silentSinceMs(b.id)).at(0)?.id
}

function heardOf({ id, followers }: Sample['status']): ReadonlySet<NodeId> {
  return new Set([id, ...followers.filter(({ active }) => active).map((follower) => follower.id)])
}

function votersOf({ membership }: Sample['status']): readonly NodeId[] {
  return membership.members.filter(({ suffrage }) => suffrage === 'voter').map(({ id }) => id)
}
