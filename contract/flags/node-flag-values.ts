// The typed values of one command line: what was given, else the table's default.
import type { FlagValueOf } from './flag-value.ts'
import type { WorkingFlag, WorkingFlags } from './working-flags.ts'

export type NodeFlagValues = { readonly [Name in WorkingFlag]: FlagValueOf[WorkingFlags[Name]['kind']] }
