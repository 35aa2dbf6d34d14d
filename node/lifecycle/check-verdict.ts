// What a check of all databases has come to, as a pure function of what the members have found. Nobody is believed for what it is: a leader's disk rots like any other.
import { majorityOf } from '../raft/quorum.ts'
import type { NodeId } from '../raft/membership.ts'
import type { CheckFinding, CheckReport } from '../replica/check-report.ts'

export type Verdict =
  /** Some are still looking, and may still be needed. */
  | { readonly kind: 'open' }
  /** `sound`: the voters that have it, and a file without faults. `wrong`: members that have looked and have something else, or faults. */
  | {
      readonly kind: 'right'
      readonly content: string
      readonly sound: readonly NodeId[]
      readonly wrong: readonly NodeId[]
      /** Nobody is looking any more. */
      readonly isWhole: boolean
    }
  | { readonly kind: 'unclear' }
  /** Too few voters could look to tell; nothing says that databases differ. */
  | { readonly kind: 'failed' }

export interface Gathered {
  /** Of the check: the entry behind which all look. */
  readonly index: number
  readonly voters: ReadonlySet<NodeId>
  /** Of voters and other members; of who is missing nothing has been heard. */
  readonly reports: ReadonlyMap<NodeId, CheckReport>
  /** Who has not been heard of is waited for no longer. */
  readonly isPatient: boolean
}

/**
 * Right is what a majority of all voters has, in files without faults. Where there is no such majority, a single sound content among the voters is right when each other voter
 * has looked and found its own file damaged: two nodes of which one is broken need no third to know it. But not when two of the damaged ones hold the same that is something else:
 * damage does not make files alike, so what is in the sound one may be what is wrong. Two different sound contents without a majority: unclear.
 */
export function verdictOf({ index, voters, reports, isPatient }: Gathered): Verdict {
  const ended = Array.from(reports).flatMap(([id, { finding }]) => (hasEnded(finding, index) ? [{ id, finding }] : []))
  const isWhole = !isPatient || Array.from(new Set([...voters, ...reports.keys()])).every((id) => ended.some((one) => one.id === id))
  const right = rightContent(voters, ended, isWhole)
  if (right === undefined && !isWhole) return { kind: 'open' }
  const looked = ended.filter(({ id, finding }) => voters.has(id) && finding.kind === 'found').length
  if (right === undefined) return { kind: looked < majorityOf(voters.size) ? 'failed' : 'unclear' }
  const isRight = (finding: CheckFinding): boolean => soundContent(finding) === right
  return {
    kind: 'right',
    content: right,
    sound: ended.filter(({ id, finding }) => voters.has(id) && isRight(finding)).map(({ id }) => id),
    wrong: ended.filter(({ finding }) => finding.kind === 'found' && !isRight(finding)).map(({ id }) => id),
    isWhole,
  }
}

interface Ended {
  readonly id: NodeId
  readonly finding: CheckFinding
}

function rightContent(voters: ReadonlySet<NodeId>, ended: readonly Ended[], isWhole: boolean): string | undefined {
  const ofVoters = ended.filter(({ id }) => voters.has(id))
  const counts = countsOf(ofVoters.map(({ finding }) => soundContent(finding)))
  for (const [content, count] of counts) if (count >= majorityOf(voters.size)) return content
  const [lone] = counts.keys()
  const found = ofVoters.filter(({ finding }) => finding.kind === 'found')
  if (!isWhole || counts.size !== 1 || found.length < voters.size) return undefined
  const alike = countsOf(found.map(({ finding }) => (finding.kind === 'found' ? finding.content : undefined)))
  return Array.from(alike).some(([content, count]) => content !== lone && count > 1) ? undefined : lone
}

function countsOf(contents: readonly (string | undefined)[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const content of contents) if (content !== undefined) counts.set(content, (counts.get(content) ?? 0) + 1)
  return counts
}

function hasEnded(finding: CheckFinding, index: number): boolean {
  return (finding.kind === 'found' || finding.kind === 'failed') && finding.index === index
}

/** Undefined: there is none, or the file that holds it has faults. */
function soundContent(finding: CheckFinding): string | undefined {
  return finding.kind === 'found' && finding.faults.length === 0 ? finding.content : undefined
}
