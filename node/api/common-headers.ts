// Headers of every response: rqlite's, and two of ours that keep answers out of caches and out of guesses about their type.
import type { ApiParts } from './api-parts.ts'

export function commonHeaders(parts: ApiParts): Readonly<Record<string, string>> {
  const withAccess: Readonly<Record<string, string>> = parts.access.enabled
    ? { 'Access-Control-Allow-Credentials': 'true', 'WWW-Authenticate': 'Basic realm="rqlite"' }
    : {}
  return {
    'X-RQLITE-VERSION': parts.view.facts.version,
    'Access-Control-Allow-Methods': 'OPTIONS, GET, POST',
    'Access-Control-Allow-Headers': parts.access.enabled ? 'Content-Type, Authorization' : 'Content-Type',
    ...withAccess,
    ...(parts.allowOrigin === undefined ? {} : { 'Access-Control-Allow-Origin': parts.allowOrigin }),
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
  }
}
