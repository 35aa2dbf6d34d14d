// /db/sql shows each statement as it would be run, and runs nothing. rqlite shows there what it has rewritten; here it is the text with the double-quoted words that are
// meant as strings, and what the gate or SQLite would say to it.
import { jsonReply, refuse, refuseWith } from './exchange.ts'
import type { ApiReply, ApiRequest } from './exchange.ts'
import type { Statement } from '../command/command.ts'
import type { ApiParts } from './api-parts.ts'
import type { Endpoint } from './endpoint.ts'
import { indentJson } from './json-indent.ts'
import { readStatements } from './request-preparation.ts'
import { Stretches } from './stretches.ts'

export function sqlEndpoint(parts: ApiParts): Endpoint {
  return {
    path: '/db/sql',
    methods: ['GET', 'POST'],
    permissions: ['query'],
    forwardable: false,
    alwaysServed: false,
    handle: (request) => show(parts, request),
  }
}

async function show(parts: ApiParts, request: ApiRequest): Promise<ApiReply> {
  if (request.method === 'GET' && !request.parameters.has('q')) return refuse('invalid_parameter', 'query not specified')
  const stretches = new Stretches(parts, request)
  const given = await readStatements(stretches, request, 'query')
  if (!given.ok) return refuseWith(given.problem)
  const results: Shown[] = []
  stretches.goOn()
  for (const statement of given.value) {
    results.push(shown(parts, statement))
    // Each of hundreds of thousands is prepared.
    if (stretches.isOver() && (await stretches.next()) === 'late')
      return refuse('deadline', 'not answered within the timeout; nothing was changed')
  }
  const json = JSON.stringify({ results })
  return jsonReply(request.parameters.has('pretty') ? indentJson(json) : json)
}

interface Shown {
  readonly original: string
  /** Empty: it would not be run. */
  readonly rewritten: string
  readonly error?: string
}

function shown(parts: ApiParts, statement: Statement): Shown {
  const original = statement.sql
  const judged = parts.judge(original, { for: parts.reader.readsOnly([statement]) ? 'query' : 'request' })
  if (!judged.ok) return { original, rewritten: '', error: judged.problem.message }
  const { sql, problem } = parts.reader.asRun(original)
  return { original, rewritten: sql, ...(problem === undefined ? {} : { error: problem }) }
}
