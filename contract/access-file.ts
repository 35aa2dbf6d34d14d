// The access file (`-auth FILE`): JSON array of { username, password, perms }, as in both rqlite security documents. The operator renders it, the node parses it.
import type { Result } from '../runtime/result.ts'
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

export type ParseAccessFile = (text: string) => Result<readonly AccessEntry[], AccessFileProblem>
