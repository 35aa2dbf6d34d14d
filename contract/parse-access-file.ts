// Reads the access file strictly: one wrong entry refuses the whole file. Half a file would mean users with more or with fewer rights than its author wrote.
// Every entry is read by itself: rqlite's decoder reuses one variable for all of them, so that an entry without `perms` inherits those of the entry before it.
// Unknown keys are refused where rqlite ignores them: a mistyped `perm` or `passwd` must not silently make another user than its author meant.
import { fail, ok } from '../runtime/result.ts'
import type { Result } from '../runtime/result.ts'
import { credentialBytesMax, everyone, kindOfPassword } from './access-file.ts'
import type { AccessEntry, AccessFileProblem } from './access-file.ts'
import { permissions } from './permissions.ts'
import type { Permission } from './permissions.ts'

type Code = AccessFileProblem['code']

/** The entries in the file's order, or the first problem with the position of its entry. No message holds a password or an unknown value of the file beyond its key. */
export function parseAccessFile(text: string): Result<readonly AccessEntry[], AccessFileProblem> {
  const list = parseJson(text)
  if (list === undefined) return fail({ code: 'access_file_not_json', message: 'the access file is not JSON' })
  if (!Array.isArray(list)) return fail({ code: 'access_file_not_a_list', message: 'the access file is not a JSON array of entries' })
  const repeated = findRepeatedKey(text)
  if (repeated !== undefined) return refuse('access_entry_malformed', repeated.position, `it has the key ${quote(repeated.key)} twice`)
  const entries: AccessEntry[] = []
  const names = new Set<string>()
  for (const [position, value] of list.entries()) {
    const entry = parseEntry(value, position)
    if (!entry.ok) return entry
    const { username } = entry.value
    if (names.has(username))
      return refuse('access_entry_duplicate', position, `the username ${quote(username)} stands in an earlier entry too`)
    names.add(username)
    entries.push(entry.value)
  }
  return ok(entries)
}

function parseEntry(value: unknown, position: number): Result<AccessEntry, AccessFileProblem> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse('access_entry_malformed', position, 'it is not a JSON object')
  // Own keys only: `__proto__` in JSON is an ordinary key and must not lend its fields to the entry.
  const fields = new Map<string, unknown>(Object.entries(value))
  const unknownKey = [...fields.keys()].find((key) => !['username', 'password', 'perms'].includes(key))
  if (unknownKey !== undefined) return refuse('access_entry_malformed', position, `it has the unknown key ${quote(unknownKey)}`)
  const username = parseUsername(fields.get('username'), position)
  if (!username.ok) return username
  const perms = parsePermissions(fields.get('perms'), position)
  if (!perms.ok) return perms
  if (username.value === everyone) {
    if (fields.has('password'))
      return refuse('access_entry_everyone_with_password', position, 'the entry * stands for everyone and has no password')
    return ok({ username: everyone, perms: perms.value })
  }
  const password = parsePassword(fields.get('password'), position)
  return password.ok ? ok({ username: username.value, password: password.value, perms: perms.value }) : password
}

// RFC 7617 §2: a user-id holds no colon (it could never be presented), and neither part holds control characters.
function parseUsername(value: unknown, position: number): Result<string, AccessFileProblem> {
  if (value === undefined || value === '') return refuse('access_entry_without_username', position, 'it has no username')
  if (typeof value !== 'string') return refuse('access_entry_malformed', position, 'its username is not a string')
  if (value.includes(':') || hasControlCharacter(value)) {
    return refuse('access_entry_malformed', position, 'its username holds a colon or a control character, which HTTP Basic cannot carry')
  }
  if (Buffer.byteLength(value) > credentialBytesMax) {
    return refuse('access_entry_malformed', position, `its username is longer than ${credentialBytesMax} bytes`)
  }
  return ok(value)
}

function parsePassword(value: unknown, position: number): Result<string, AccessFileProblem> {
  if (value === undefined || value === '') return refuse('access_entry_without_password', position, 'it has no password')
  if (typeof value !== 'string') return refuse('access_entry_malformed', position, 'its password is not a string')
  if (Buffer.byteLength(value) > credentialBytesMax) {
    return refuse('access_entry_password_too_long', position, `its password is longer than ${credentialBytesMax} bytes`)
  }
  if (kindOfPassword(value).kind === 'malformed-hash') {
    return refuse(
      'access_entry_hash_malformed',
      position,
      'its password begins like a bcrypt hash but is none of $2a$, $2b$ or $2y$ with a cost from 04 to 14',
    )
  }
  if (hasControlCharacter(value)) {
    return refuse('access_entry_malformed', position, 'its password holds a control character, which HTTP Basic cannot carry')
  }
  return ok(value)
}

function parsePermissions(value: unknown, position: number): Result<readonly Permission[], AccessFileProblem> {
  if (value === undefined) return refuse('access_entry_without_permissions', position, 'it has no perms')
  if (!Array.isArray(value)) return refuse('access_entry_malformed', position, 'its perms are not a list')
  if (value.length === 0) return refuse('access_entry_without_permissions', position, 'its perms are empty')
  const known: Permission[] = []
  for (const item of value) {
    const permission = permissions.find((name) => name === item)
    if (permission === undefined) {
      const shown = typeof item === 'string' ? quote(item) : 'something that is not a string'
      return refuse('access_entry_unknown_permission', position, `its perms hold ${shown}; known are ${permissions.join(', ')}`)
    }
    known.push(permission)
  }
  return ok(known)
}

function refuse(code: Code, position: number, why: string): Result<never, AccessFileProblem> {
  return fail({ code, position, message: `entry ${position} of the access file: ${why}` })
}

/** Undefined when it is not JSON (JSON itself has no undefined). The parser's own message quotes the text around the fault, which may be a password. */
function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}

// JSON.parse keeps the last of two equal keys in silence: `"perms": ["query"], "perms": ["all"]` must not be read as either. The text is known to be JSON and a list.
function findRepeatedKey(text: string): { readonly position: number; readonly key: string } | undefined {
  const open: { readonly keys: Set<string> | undefined; commas: number }[] = []
  for (const [, string, colon, mark] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|([[\]{},])/g)) {
    const innermost = open.at(-1)
    if (string !== undefined && colon !== undefined) {
      const key: unknown = JSON.parse(string)
      if (innermost?.keys?.has(String(key)) === true) return { position: open[0]?.commas ?? 0, key: String(key) }
      innermost?.keys?.add(String(key))
    } else if (mark === '{' || mark === '[') open.push({ keys: mark === '{' ? new Set() : undefined, commas: 0 })
    else if (mark === '}' || mark === ']') open.pop()
    else if (mark === ',' && innermost !== undefined) innermost.commas += 1
  }
  return undefined
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 64))
}

function hasControlCharacter(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  return /[\u0000-\u001f\u007f]/.test(text)
}
