// The value of `-join`: Raft addresses as rqlite takes them today, and API URLs as it took them before (with a user and password in the older security document).
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import { parseHostPort } from '../host-port.ts'
import type { JoinTarget } from '../node-configuration.ts'

/** Problems name an entry by its position, not by its text: a mistyped URL may hold a password. */
export function parseJoinList(text: string): Result<readonly JoinTarget[], string> {
  const targets: JoinTarget[] = []
  if (text === '') return ok(targets)
  for (const [position, entry] of text.split(',').entries()) {
    const target = /^https?:\/\//i.test(entry) ? parseApiTarget(entry) : parseRaftTarget(entry)
    if (!target.ok) return fail(`entry ${position + 1} ${target.problem}`)
    targets.push(target.value)
  }
  return ok(targets)
}

function parseRaftTarget(entry: string): Result<JoinTarget, string> {
  const address = parseHostPort(entry.trim())
  if (!address.ok || address.value.host === '' || address.value.port === 0) return fail('is neither host:port nor https://host:port')
  return ok({ kind: 'raft', address: address.value })
}

function parseApiTarget(entry: string): Result<JoinTarget, string> {
  if (!URL.canParse(entry)) return fail('is not a valid URL')
  const url = new URL(entry)
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') return fail('must be a plain https://host:port, without path or query')
  // Someone who writes only one of the two has made a mistake that would otherwise show as "wrong password".
  if ((url.username === '') !== (url.password === '')) return fail('has a user without a password, or a password without a user')
  const decoded = decodeCredentials(url)
  if (!decoded.ok) return decoded
  return ok({ kind: 'api', url: `${url.protocol}//${url.host}`, credentials: decoded.value })
}

function decodeCredentials(url: URL): Result<{ readonly username: string; readonly password: string } | undefined, string> {
  if (url.username === '') return ok(undefined)
  try {
    return ok({ username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) })
  } catch (error) {
    if (error instanceof URIError) return fail('has a malformed percent escape in its user or password')
    throw error
  }
}
