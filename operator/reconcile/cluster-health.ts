// What the members' answers add up to. PURE.
import { quorumOf } from '../resource/cluster.ts'
import type { MemberProblem, MemberReport } from '../members/members.ts'

/** One member's answer, or why there is none. */
export type MemberAnswer = { readonly name: string } & ({ readonly report: MemberReport } | { readonly problem: MemberProblem })

export interface ClusterHealth {
  readonly wanted: number
  readonly ready: number
  readonly quorum: number
  /** The member that leads, as far as those who answer know; of several claims the one of the highest term is true (Raft §5.1: one leader a term). */
  readonly leader: string | undefined
}

export function clusterHealth(answers: readonly MemberAnswer[], wanted: number): ClusterHealth {
  const reports = answers.flatMap((answer) => ('report' in answer ? [answer.report] : []))
  return {
    wanted,
    ready: reports.filter((report) => report.ready).length,
    quorum: quorumOf(wanted),
    leader: leaderOf(reports),
  }
}

function leaderOf(reports: readonly MemberReport[]): string | undefined {
  const newestFirst = [...reports].sort((left, right) => right.term - left.term)
  const leading = newestFirst.find((report) => report.role === 'leader')
  const knowing = newestFirst.find((report) => report.leader !== undefined)
  if (leading === undefined) return knowing?.leader
  // Somebody knows of a newer term than the last leader that answered.
  return knowing !== undefined && knowing.term > leading.term ? knowing.leader : leading.name
}
