// The door of the room: reads the access file, follows it, and closes what was opened.
import type { AccessEntry } from '../../contract/access-file.ts'
import { kindOfPassword } from '../../contract/access-file.ts'
import { parseAccessFile } from '../../contract/parse-access-file.ts'
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import { AccessWatcher, readAccessFile } from './access-watcher.ts'
import type { AccessFileFault } from './access-watcher.ts'
import { Access } from './access.ts'
import { Lockout } from './lockout.ts'
import { PasswordVerifier } from './password-verifier.ts'

export interface OpenedAccess {
  readonly access: Access
  /** Looks at the file now instead of within a second. */
  reread(): Promise<void>
  close(): Promise<void>
}

/** `file` undefined: no access control, as rqlite without `-auth`. A file that is wrong or unreadable at start is a problem: the node must not start. */
export async function openAccess(options: {
  readonly file: string | undefined
  readonly logger: Logger
  readonly metrics: Metrics
}): Promise<Result<OpenedAccess, AccessFileFault>> {
  const { file, logger, metrics } = options
  const verifier = new PasswordVerifier()
  const lockout = new Lockout({ monotonicMs: () => performance.now() })
  const makeAccess = (entries: readonly AccessEntry[] | undefined): Access => new Access({ entries, verifier, lockout, logger, metrics })
  if (file === undefined) return ok({ access: makeAccess(undefined), reread: () => Promise.resolve(), close: () => verifier.close() })
  const text = await readAccessFile(file)
  if (!text.ok) return text
  const entries = parseAccessFile(text.value)
  if (!entries.ok) return entries
  const access = makeAccess(entries.value)
  const cleartext = entries.value.filter(({ password }) => password !== undefined && kindOfPassword(password).kind === 'cleartext').length
  if (cleartext > 0) logger.warn({ part: 'access', users: cleartext }, 'the access file holds cleartext passwords; bcrypt hashes are safer')
  const watcher = new AccessWatcher({ file, text: text.value, logger, metrics, onUsers: (users) => access.replaceUsers(users) })
  watcher.start()
  const close = async (): Promise<void> => {
    await watcher.close()
    await verifier.close()
  }
  return ok({ access, reread: () => watcher.reread(), close })
}
