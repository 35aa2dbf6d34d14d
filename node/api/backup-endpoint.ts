// GET /db/backup. A follower does not fetch a backup from the leader: it asks the leader how far the log is committed, waits until it has applied that, and copies its own
// database. So the backup holds every write that was acknowledged before it began, and costs the leader one round of heartbeats (ADR 19). `noleader` asks nobody.
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Refusal } from '../../contract/refusal.ts'
import type { ApiParts } from './api-parts.ts'
import type { BackupOptions } from './backups.ts'
import type { Endpoint } from './endpoint.ts'
import { refuseWith } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import { redirectToLeader, servedByHeader } from './leader-route.ts'
import { upToDate } from './read-barrier.ts'
import { apiAddress } from './statement-reply.ts'

const formats = ['binary', 'delete', 'sql'] as const

export function backupEndpoint(parts: ApiParts): Endpoint {
  return {
    path: '/db/backup',
    methods: ['GET'],
    permissions: ['backup'],
    forwardable: false,
    alwaysServed: false,
    handle: (request) => backup(parts, request),
  }
}

async function backup(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  const options = optionsOf(request)
  if (!options.ok) return refuseWith(options.problem)
  if (!request.parameters.has('noleader')) {
    const elsewhere = request.parameters.has('redirect') ? redirectToLeader(parts, request) : undefined
    if (elsewhere !== undefined) return elsewhere
    const refusal = await upToDate(parts, request)
    if (refusal !== undefined) return refusal
  }
  const made = await parts.backups.make(options.value)
  if (!made.ok) return refuseWith(made.problem)
  const type = options.value.format === 'sql' && !options.value.compress ? 'application/sql' : 'application/octet-stream'
  return { status: 200, headers: { 'Content-Type': type, [servedByHeader]: apiAddress(parts) }, body: '', stream: made.value }
}

function optionsOf({ parameters, isAbandoned }: ApiRequest): Result<BackupOptions, Refusal> {
  const wanted = parameters.text('fmt') ?? 'binary'
  const format = formats.find((known) => known === (wanted === '' ? 'binary' : wanted))
  const vacuum = parameters.has('vacuum')
  // rqlite's words; it vacuums a binary file only.
  if (format === undefined || (vacuum && format === 'sql')) return fail({ code: 'invalid_parameter', message: 'invalid backup format' })
  const tables = (parameters.text('tables') ?? '').split(',').filter((name) => name !== '')
  if (tables.length > 0 && format !== 'sql') return fail({ code: 'invalid_parameter', message: 'tables can only be chosen with fmt=sql' })
  return ok({ format, vacuum, compress: parameters.has('compress'), tables, isAbandoned })
}
