// Sends a sound file through the log, step by step (command/load-step.ts), wherever the leader is. This node proposes, or has the leader propose, one step at a time: that is all
// the back-pressure there is, and the log never holds more than one step that is not committed. A step whose outcome is unknown is sent again, which changes nothing.
import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import type { RefusalCode } from '../../contract/refusal.ts'
import type { CommandOutcome } from '../command/command.ts'
import { encodeLoadStep, isLoadChunk, isLoadStep, loadChunkBytesMax, type LoadStep } from '../command/load-step.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { msLeft, refuse, refuseWith, streamOf } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import type { SoundFile } from './file-intake.ts'
import { atLeader, type Served } from './leader-route.ts'
import { turnstileRefusal } from './replica-refusal.ts'
import { parseRequestParameters } from './request-parameters.ts'
import { ok } from '../../runtime/result.ts'

/** Of a dump that can only become a database of its own. */
export const notEmpty =
  'a dump of more than 8 MiB, or with virtual tables as sqlite3 writes them, is loaded into an empty database only; here, send it in parts, or add it to a backup (sqlite3 backup.db < dump.sql) and load that file'

const stepPath = '/db/load/step'
/** After one of these a step may have been carried out or not; either way it may be sent again. */
const mayBeSentAgain: ReadonlySet<RefusalCode> = new Set([
  'outcome_unknown',
  'forward_failed',
  'leader_unknown',
  'deadline',
  'overloaded',
  'not_ready',
])
/** So long without any progress: then the load is given up. */
const patienceMs = 60_000
const pauseMs = 200
const stepTimeoutMs = 30_000
/** Writing the file out and syncing it, on every node, beside what else they do. */
const endTimeoutMs = 300_000

/** Where another member sends the steps of a file that it has received. Not in the clients' table: what they send is examined first. */
export function loadStepEndpoint(parts: ApiParts): Endpoint {
  return {
    path: stepPath,
    methods: ['POST'],
    permissions: ['load'],
    forwardable: true,
    alwaysServed: false,
    handle: async (request) => {
      const body = await request.body()
      if (!body.ok) return refuseWith(body.problem)
      if (!isLoadStep(body.value)) return refuse('invalid_request', 'no step of a load')
      return proposeStep(parts, request, body.value)
    },
  }
}

/** Undefined: the file is the database of every node, or will be when it has come so far in its log. `onto`: what may be there by then. */
export async function sendThroughLog(
  parts: ApiParts,
  request: ApiRequest,
  { file, onto }: { readonly file: SoundFile; readonly onto: 'anything' | 'nothing' },
): Promise<ApiReply | undefined> {
  const { bytes, hash } = file
  const id = randomBytes(16).toString('hex')
  const startedAtMs = performance.now()
  const log = parts.logger.child({ part: 'load' })
  log.info({ load: id, bytes }, 'load begins')
  const begun = await send(parts, request, { kind: 'load-begin', id, bytes })
  if (begun !== undefined) return begun
  for (let offset = 0; offset < bytes;) {
    const data = await file.read(offset, loadChunkBytesMax)
    assert(data.length > 0, 'a file that was examined stays as long as it is')
    const refusal = request.isAbandoned() ? abandoned() : await send(parts, request, { kind: 'load-chunk', id, offset, data })
    if (refusal !== undefined) {
      log.warn({ load: id, offset, code: refusal.refusal?.code }, 'load given up')
      await giveUp(parts, request, id)
      return refusal
    }
    offset += data.length
  }
  const refusal = await send(parts, request, { kind: 'load-end', id, bytes, hash, onto })
  log.info({ load: id, bytes, ms: Math.round(performance.now() - startedAtMs), code: refusal?.refusal?.code }, 'load ended')
  return refusal
}

function abandoned(): ApiReply {
  return refuse('invalid_request', 'the client has gone')
}

/** Its chunks are dropped. When this fails too, the next load or the leader does it (node/lifecycle/abandoned-loads.ts). */
async function giveUp(parts: ApiParts, request: ApiRequest, id: string): Promise<void> {
  await propose(parts, { ...request, isAbandoned: () => false }, { kind: 'load-abort', id })
}

async function send(parts: ApiParts, request: ApiRequest, step: LoadStep): Promise<ApiReply | undefined> {
  const untilMs = performance.now() + Math.max(patienceMs, timeoutOf(request, step))
  for (;;) {
    const refusal = await propose(parts, request, step)
    const code = refusal?.refusal?.code
    if (code === undefined || !mayBeSentAgain.has(code) || performance.now() > untilMs || parts.isEnding()) return refusal
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

async function propose(parts: ApiParts, request: ApiRequest, step: LoadStep): Promise<ApiReply | undefined> {
  const payload = encodeLoadStep(step)
  const none = parseRequestParameters('')
  assert(none.ok, 'no parameters can be read')
  const asked: ApiRequest = {
    ...request,
    origin: 'client',
    path: stepPath,
    query: '',
    parameters: none.value,
    contentType: 'application/octet-stream',
    body: () => Promise.resolve(ok(payload)),
    stream: () => streamOf(payload),
    deadlineAtMs: performance.now() + timeoutOf(request, step),
  }
  const reply = await atLeader(parts, asked, {
    name: 'load',
    changes: true,
    serve: (replica) => proposeHere(parts, asked, replica, payload),
  })
  return reply.status === 200 ? undefined : reply
}

/** `timeout` is of each step, as rqlite's is of each call to another node. */
function timeoutOf(request: ApiRequest, step: LoadStep): number {
  if (step.kind === 'load-end') return endTimeoutMs
  return request.parameters.durationMs('timeout') ?? stepTimeoutMs
}

function proposeStep(parts: ApiParts, request: ApiRequest, payload: Uint8Array): Promise<ApiReply> {
  return atLeader(parts, request, { name: 'load', changes: true, serve: (replica) => proposeHere(parts, request, replica, payload) })
}

async function proposeHere(parts: ApiParts, request: ApiRequest, replica: Replica, payload: Uint8Array): Promise<Served> {
  if (msLeft(request) <= 0) return refuse('deadline', 'not answered within the timeout; nothing was changed')
  const changes = isLoadChunk(payload) ? 'data' : 'judgements'
  const applied = await parts.turnstile.propose(replica, { payload, changes, msLeft: () => msLeft(request) })
  if (!applied.ok) return turnstileRefusal(applied.problem)
  const { results } = applied.value.outcome as CommandOutcome // the state machine's answer to a command
  const [result] = results
  if (result?.kind === 'written') return { status: 200, headers: {}, body: '' }
  switch (result?.kind === 'error' ? result.message : '') {
    case 'load_replaced':
      return refuse('load_replaced', 'another load has begun since')
    case 'load_onto_something':
      return refuse('database_not_empty', notEmpty)
    case 'load_mismatch':
    case 'load_unusable':
      return refuse('file_refused', 'the file was found damaged on its way')
    default:
      return refuse('internal', 'a step of the load is missing')
  }
}
