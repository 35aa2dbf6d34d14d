// A write: one entry in the log for the whole request, answered when it has been committed and applied here.
import { strict as assert } from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import type { CommandOutcome, Statement } from '../command/command.ts'
import { backOffMs } from '../../runtime/back-off.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import type { ApiParts } from './api-parts.ts'
import { drawSeed } from './entry-seed.ts'
import { clientOf, inResults, msLeft, refuse } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { atLeader, outcomeUnknown } from './leader-route.ts'
import type { Served } from './leader-route.ts'
import { turnstileRefusal } from './replica-refusal.ts'
import { statementReply } from './statement-reply.ts'
import type { WriteEnd } from './log-door.ts'
import type { TurnstileWrite } from './write-turnstile.ts'

// The disk empties what waits in tens of milliseconds, or it stands still.
const roomPauses = { firstMs: 10, maxMs: 250 }
/** Of a write that does not provably end soon: what it takes here it takes on every node, and all writes behind it wait. */
const processorLimit = { kind: 'processor', ms: 1_000 } as const
/** Of a whole dump, for which a right of its own is needed: 8 MiB of it are done in some seconds. */
const dumpLimit = { kind: 'processor', ms: 20_000 } as const
/** `db_timeout` may ask for as much. */
const clockMsMax = 10_000

export interface Write {
  readonly kind: 'execute' | 'request'
  readonly statements: readonly Statement[]
  /** One transaction whatever the parameters say, answered with its last result alone: rqlite sees one statement. */
  readonly isDump?: true
}

export async function writeAtLeader(parts: ApiParts, request: ApiRequest, write: Write): Promise<ApiReply> {
  const name = write.isDump === true ? 'load' : write.kind === 'execute' ? 'Execute' : 'Request'
  const reply = await atLeader(parts, request, { name, changes: true, serve: (replica) => propose(parts, request, replica, write) })
  // Nobody but who sent it can say whether it may happen twice, so no client may be led to send it again by itself (ADR 17).
  return reply.refusal?.code === 'outcome_unknown' && reply.status !== 200 ? inResults(outcomeUnknown()) : reply
}

async function propose(parts: ApiParts, request: ApiRequest, replica: Replica, write: Write): Promise<Served> {
  // With the deadline gone nothing is proposed: an answer that nobody waits for would only be `outcome_unknown`.
  if (msLeft(request) <= 0) return refuse('deadline', 'not answered within the timeout; nothing was changed')
  const asked = request.parameters.durationMs('db_timeout')
  const payload = parts.encode({
    kind: write.kind,
    statements: write.statements,
    transaction: write.isDump === true || request.parameters.has('transaction'),
    proposedAtMs: Date.now(),
    seed: drawSeed(),
  })
  const applied = await writeWhenThereIsRoom(parts, request, replica, {
    statements: write.statements,
    payload,
    limit:
      asked === undefined || asked === 0
        ? write.isDump === true
          ? dumpLimit
          : processorLimit
        : { kind: 'clock', ms: Math.min(asked, clockMsMax) },
    client: clientOf(request.identity),
    msLeft: () => msLeft(request),
    isAbandoned: request.isAbandoned,
  })
  if (!applied.ok) return turnstileRefusal(applied.problem)
  const outcome = parseOutcome(applied.value)
  const results = write.isDump === true ? outcome.results.slice(-1) : outcome.results
  return statementReply(parts, request, { results, raftIndex: applied.value.index, changed: true })
}

/** Nothing is appended where there is no room, so it may be asked again; for a moment only, or clients would never learn that they are too many. */
async function writeWhenThereIsRoom(parts: ApiParts, request: ApiRequest, replica: Replica, write: TurnstileWrite): Promise<WriteEnd> {
  const endMs = performance.now() + parts.applyTimeoutMs
  for (let failures = 1; ; failures += 1) {
    const applied = await parts.turnstile.write(replica, write)
    if (applied.ok || applied.problem.code !== 'overloaded') return applied
    const pauseMs = backOffMs(roomPauses, failures)
    if (performance.now() + pauseMs > endMs || pauseMs >= msLeft(request) || parts.isEnding() || request.isAbandoned()) return applied
    await delay(pauseMs)
  }
}

/** The state machine's outcome is opaque to Raft; that of a command is a CommandOutcome. */
function parseOutcome({ outcome }: Applied): CommandOutcome {
  assert(typeof outcome === 'object' && outcome !== null && 'results' in outcome && Array.isArray(outcome.results), 'a command has results')
  return outcome as CommandOutcome
}
