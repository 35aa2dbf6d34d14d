// The access file (`-auth FILE`): JSON array of { username, password, perms }, as in both rqlite security documents. The operator renders it, the node parses it
// (parse-access-file.ts).
import type { Permission } from './permissions.ts'

/** Anonymous and every other caller hold the permissions of this entry. It alone has no password. */
export const everyone = '*'

/** `password`: cleartext, or a bcrypt hash ($2a$, $2b$ or $2y$). Absent for `*` alone. */
export interface AccessEntry {
  readonly username: string
  readonly password?: string
  readonly perms: readonly Permission[]
}

/** `position` is the entry's index in the array (0-based), absent when the file as a whole is wrong. The message names the entry, never a password. */
export interface AccessFileProblem {
  readonly code:
    | 'access_file_not_json'
    | 'access_file_not_a_list'
    | 'access_entry_malformed'
    | 'access_entry_without_username'
    | 'access_entry_without_password'
    | 'access_entry_without_permissions'
    | 'access_entry_everyone_with_password'
    | 'access_entry_duplicate'
    | 'access_entry_unknown_permission'
    | 'access_entry_password_too_long'
    | 'access_entry_hash_malformed'
  readonly position?: number
  readonly message: string
}

/** Bytes of a password that bcrypt looks at: the 73rd and all after it change nothing, so a longer one must never match a hash. */
export const bcryptPasswordBytesMax = 72

/** Bytes of a cleartext password or of a name: far above what people and generators choose, far below what would fill a request's header. */
export const credentialBytesMax = 1024

const hash = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}$/
const bcryptCostMin = 4
// Each step doubles the time: 14 takes about a second of one core per check, and a check is what an attacker may ask for.
const bcryptCostMax = 14

/** What a stored password is. Whatever begins like a bcrypt hash is a hash or a mistake, never a cleartext password: a damaged hash must not become a password. */
export function kindOfPassword(
  stored: string,
): { readonly kind: 'cleartext' | 'malformed-hash' } | { readonly kind: 'bcrypt'; readonly cost: number } {
  if (!/^\$2[a-z]?\$/.test(stored)) return { kind: 'cleartext' }
  const cost = Number(hash.exec(stored)?.[1])
  return cost >= bcryptCostMin && cost <= bcryptCostMax ? { kind: 'bcrypt', cost } : { kind: 'malformed-hash' }
}
