// What a node has found in a check of its whole database, as it is shown to operators and told to the leader, who compares.
import { z } from 'zod'

export interface CheckReport {
  /** Nobody has looked at this database since something happened to it that may have damaged it. */
  readonly isWanted: boolean
  /** The entry behind which the newest check that this process knows of looks; 0: none. */
  readonly markIndex: number
  /** The newest check on which a verdict was applied. */
  readonly verdictIndex: number
  readonly finding: CheckFinding
}

/** `index`: of the check. `faults`: what SQLite finds wrong with the file. `content`: undefined where damage does not let it be read. */
export type CheckFinding =
  | { readonly kind: 'none' }
  | { readonly kind: 'running'; readonly index: number; readonly phase: 'structure' | 'content' }
  | { readonly kind: 'found'; readonly index: number; readonly faults: readonly string[]; readonly content: string | undefined }
  | { readonly kind: 'failed'; readonly index: number; readonly reason: string }

/** `waiting`: looked at, and not compared yet. `unclear`: no majority has found the same. `failed`: it could not be looked at. */
export type CheckResult = 'none' | 'running' | 'waiting' | 'agrees' | 'differs' | 'unclear' | 'failed'

const index = z.int().min(0)
const text = z.string().max(1_000)
const shape = z.strictObject({
  isWanted: z.boolean(),
  markIndex: index,
  verdictIndex: index,
  finding: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('none') }),
    z.strictObject({ kind: z.literal('running'), index, phase: z.enum(['structure', 'content']) }),
    z.strictObject({ kind: z.literal('found'), index, faults: z.array(text).max(16), content: z.string().max(128).nullable() }),
    z.strictObject({ kind: z.literal('failed'), index, reason: text }),
  ]),
})

export function checkReportText(report: CheckReport): string {
  const { finding } = report
  return JSON.stringify(finding.kind === 'found' ? { ...report, finding: { ...finding, content: finding.content ?? null } } : report)
}

/** Undefined: it is none. */
export function parseCheckReport(bytes: Uint8Array): CheckReport | undefined {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined // not JSON, or not UTF-8
  }
  const parsed = shape.safeParse(value)
  if (!parsed.success) return undefined
  const { finding } = parsed.data
  return { ...parsed.data, finding: finding.kind === 'found' ? { ...finding, content: finding.content ?? undefined } : finding }
}
