// All mistakes that are put back, by section.
import { notOfApplying, ofApplying } from './of-applying.ts'
import { notOfDisks, ofDisks } from './of-disks.ts'
import { notOfElections, ofElections } from './of-elections.ts'
import { notOfLogs, ofLogs } from './of-logs.ts'
import { notOfMembership, ofMembership } from './of-membership.ts'
import { notOfReads, ofReads } from './of-reads.ts'
import type { Inapplicable, Mutation } from './mutation.ts'

export const mutations: readonly Mutation[] = [...ofElections, ...ofLogs, ...ofReads, ...ofMembership, ...ofDisks, ...ofApplying]

export const inapplicable: readonly Inapplicable[] = [
  ...notOfElections,
  ...notOfLogs,
  ...notOfReads,
  ...notOfMembership,
  ...notOfDisks,
  ...notOfApplying,
]
