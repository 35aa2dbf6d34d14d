// What stands in a committed entry, as every node reads it.
import assert from 'node:assert/strict'
import { decodeCommand } from '../command/command-codec.ts'
import type { Command } from '../command/command.ts'
import { decodeLoadStep, isLoadEnd, isLoadStep, type LoadStep } from '../command/load-step.ts'
import type { Entry } from '../raft/entry.ts'
import { decodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import { NewerCommand } from './sqlite-failure.ts'

/** A statement of its own of at most 1000 characters (command/upkeep.ts), and what stands beside it. */
const vacuumBytesMax = 8 * 1024

/** Undefined: the entry is none, or holds none of any version; every node sees the same bytes and answers the same. */
export function commandOf(entry: Entry): Command | LoadStep | undefined {
  if (entry.kind !== 'command') return undefined
  const command = isLoadStep(entry.payload) ? decodeLoadStep(entry.payload) : decodeCommand(entry.payload)
  if (command.ok) return command.value
  if (command.problem === 'command_version')
    throw new NewerCommand('a newer program wrote the next entry; this one must be brought up to date')
  return undefined
}

/** Of one that does not, the thread that applies it takes none behind it along. */
export function mayReplaceDatabase({ kind, payload }: Entry): boolean {
  if (kind !== 'command') return false
  return isLoadEnd(payload) || (payload.length < vacuumBytesMax && /vacuum/i.test(Buffer.from(payload).toString('latin1')))
}

/** Of a load; it changes no data that users see until the last one. */
export function isStep(command: Command | LoadStep): command is LoadStep {
  return command.kind !== 'execute' && command.kind !== 'request'
}
/** What becomes of an entry that holds no command. */
export const undecodable = {
  kind: 'done',
  traces: [{ result: { kind: 'error', message: 'the entry holds no command that can be read', seconds: 0 }, effect: 'failed' }],
} as const

/** A cluster that was begun anew by hand (peers.json) has a newer epoch: what an older one had still agreed on no longer counts. */
export function membershipAfter(entry: Entry, before: Membership | undefined): Membership {
  const membership = decodeMembership(entry.payload)
  assert(membership.ok, 'a committed membership entry can always be read')
  return before !== undefined && (membership.value.epoch ?? 0) < (before.epoch ?? 0) ? before : membership.value
}
