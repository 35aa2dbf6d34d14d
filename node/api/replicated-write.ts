// A write: one entry in the log for the whole request, answered when it has been committed and applied here.
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import type { CommandOutcome, Statement } from '../command/command.ts'
import { seedBytes } from '../command/entry-moment.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import type { ApiParts } from './api-parts.ts'
import { msLeft, refuse } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { atLeader } from './leader-route.ts'
import type { Served } from './leader-route.ts'
import { replicaRefusal } from './replica-refusal.ts'
import { statementReply } from './statement-reply.ts'

export function writeAtLeader(
  parts: ApiParts,
  request: ApiRequest,
  write: { readonly kind: 'execute' | 'request'; readonly statements: readonly Statement[] },
): Promise<ApiReply> {
  const name = write.kind === 'execute' ? 'Execute' : 'Request'
  return atLeader(parts, request, { name, changes: true, serve: (replica) => propose(parts, request, replica, write) })
}

async function propose(
  parts: ApiParts,
  request: ApiRequest,
  replica: Replica,
  write: { readonly kind: 'execute' | 'request'; readonly statements: readonly Statement[] },
): Promise<Served> {
  // With the deadline gone nothing is proposed: an answer that nobody waits for would only be `outcome_unknown`.
  if (msLeft(request) <= 0) return refuse('deadline', 'not answered within the timeout; nothing was changed')
  const payload = parts.encode({
    kind: write.kind,
    statements: write.statements,
    transaction: request.parameters.has('transaction'),
    proposedAtMs: Date.now(),
    seed: randomBytes(seedBytes),
  })
  const applied = await replica.propose(payload, { timeoutMs: msLeft(request) })
  if (!applied.ok) return replicaRefusal(applied.problem)
  const { results } = parseOutcome(applied.value)
  return statementReply(parts, request, { results, raftIndex: applied.value.index, changed: true })
}

/** The state machine's outcome is opaque to Raft; that of a command is a CommandOutcome. */
function parseOutcome({ outcome }: Applied): CommandOutcome {
  assert(typeof outcome === 'object' && outcome !== null && 'results' in outcome && Array.isArray(outcome.results), 'a command has results')
  return outcome as CommandOutcome
}
