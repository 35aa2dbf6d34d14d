// POST /db/load and POST /boot. A file (told by its first bytes) is received on this node's disk, examined there, and sent through the log in steps; text is one
// transaction of the statements in it (load-text.ts). Service goes on meanwhile; what is written between the first and the last step is lost, because the file replaces
// everything. Where a text has become a file, nothing is: it only ever takes the place of an empty database.
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Refusal } from '../../contract/refusal.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { jsonReply, refuse, refuseWith } from './exchange.ts'
import type { ApiReply, ApiRequest, BodyStream } from './exchange.ts'
import type { FileForm, IncomingFile } from './file-intake.ts'
import { redirectToLeader, servedByHeader } from './leader-route.ts'
import { sendThroughLog } from './load-steps.ts'
import { loadText, type BegunBody } from './load-text.ts'
import { apiAddress } from './statement-reply.ts'

/** What rqlite looks for; the file's other header fields are the examination's. */
const magic = Buffer.from('SQLite format')
const gzipMagic = Buffer.from([0x1f, 0x8b])

export function loadEndpoints(parts: ApiParts): readonly Endpoint[] {
  const posted = { methods: ['POST'], permissions: ['load'], alwaysServed: false } as const
  return [
    { path: '/db/load', ...posted, forwardable: true, handle: (request) => load(parts, request) },
    { path: '/boot', ...posted, forwardable: false, handle: (request) => boot(parts, request) },
  ]
}

async function load(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  const elsewhere = request.parameters.has('redirect') ? redirectToLeader(parts, request) : undefined
  if (elsewhere !== undefined) return elsewhere
  const body = await beginBody(request.stream())
  if (!body.ok) return refuseWith(body.problem)
  const { head, stream } = body.value
  if (startsWith(head, gzipMagic)) return refuse('file_refused', 'the body is compressed; send the file itself')
  if (!startsWith(head, magic))
    return loadText(parts, request, { head, stream }, (body) => loadFile(parts, request, { body, form: 'text' }))
  const refusal = await loadFile(parts, request, { body: { head, stream }, form: 'database' })
  return refusal ?? jsonReply('{"results":[]}', { [servedByHeader]: apiAddress(parts) })
}

/** For a cluster that is one node: rqlite then needs no log for it, and promises its users no more. Here it goes the same way as a load. */
async function boot(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  const replica = parts.view.replica()
  if (replica === undefined) return refuse('not_ready', 'the node belongs to no cluster yet')
  if (!replica.leads()) return refuse('not_single_node', 'not leader')
  if (replica.status().membership.members.length !== 1) return refuse('not_single_node', 'not single-node')
  const body = await beginBody(request.stream())
  if (!body.ok) return refuseWith(body.problem)
  if (!startsWith(body.value.head, magic)) return refuse('file_refused', 'invalid SQLite data')
  const refusal = await loadFile(parts, request, { body: body.value, form: 'database' })
  return refusal ?? { status: 200, headers: { [servedByHeader]: apiAddress(parts) }, body: '' }
}

async function beginBody(stream: BodyStream): Promise<Result<BegunBody, Refusal>> {
  let head: Uint8Array = new Uint8Array(0)
  while (head.length < magic.length) {
    const next = await stream.next()
    if (!next.ok) return fail(next.problem)
    if (next.value === undefined) break
    head = Buffer.concat([head, next.value])
  }
  return ok({ head, stream })
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, start.length), start) === 0
}

/** Undefined: it is the database now. */
async function loadFile(
  parts: ApiParts,
  request: ApiRequest,
  { body, form }: { readonly body: BegunBody; readonly form: FileForm },
): Promise<ApiReply | undefined> {
  const begun = parts.intake.begin()
  if (!begun.ok) return refuseWith(begun.problem)
  const file = begun.value
  try {
    const received = await receive(file, body)
    if (!received.ok) return refuseWith(received.problem)
    const sound = await file.examine({ form, isAbandoned: request.isAbandoned })
    if (!sound.ok) return refuseWith(sound.problem)
    return await sendThroughLog(parts, request, { file: sound.value, onto: form === 'text' ? 'nothing' : 'anything' })
  } finally {
    await file.discard()
  }
}

async function receive(file: IncomingFile, { head, stream }: BegunBody): Promise<Result<void, Refusal>> {
  let bytes: Uint8Array | undefined = head
  while (bytes !== undefined) {
    const written = await file.write(bytes)
    if (!written.ok) return written
    const next = await stream.next()
    if (!next.ok) return fail(next.problem)
    bytes = next.value
  }
  return ok(undefined)
}
