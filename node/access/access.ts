// Who may do what. The decision is rqlite's: without an access file everything is allowed; what `*` may do, everyone may, whatever credentials they show;
// everything else needs a known user, the right password and the permission. What differs is how a password is checked: off the event loop, bounded,
// in equal time for unknown users, and with a lock-out.
import type { AccessEntry } from '../../contract/access-file.ts'
import type { Permission } from '../../contract/permissions.ts'
import type { Logger } from '../../runtime/log.ts'
import type { CountingMetric, Metrics } from '../../runtime/metrics.ts'
import { parseCredentials, type PresentedCredentials } from './credentials.ts'
import { anonymous } from './identity.ts'
import type { Identity } from './identity.ts'
import type { Lockout } from './lockout.ts'
import type { PasswordVerifier } from './password-verifier.ts'
import { UserTable } from './user-table.ts'

export interface Caller {
  /** The header as it came. */
  readonly authorization: string | undefined
  /** IP address of the other end of the connection; never what a header claims. */
  readonly address: string
  /** The connection on which it came, as a key: callers repeat the same header on it, which is then read once. */
  readonly connection?: object
}

/** A header as it was read. `proof`: see UserTable.proofOf; '' without credentials. */
interface Presented {
  readonly authorization: string | undefined
  readonly table: UserTable
  readonly credentials: PresentedCredentials
  readonly proof: string
}

/** `permission_denied` covers both "who are you" and "not allowed": a caller without rights must not learn which. */
export type Decision =
  | { readonly kind: 'allowed'; readonly identity: Identity }
  | { readonly kind: 'denied'; readonly code: 'permission_denied' | 'credentials_locked_out' | 'overloaded' }

const outcomes = [
  'open',
  'everyone',
  'authenticated',
  'no_credentials',
  'malformed',
  'unknown_user',
  'wrong_password',
  'locked_out',
  'overloaded',
  'not_permitted',
] as const
type Outcome = (typeof outcomes)[number]
type Check = 'right' | 'wrong' | 'undecided'

export interface AccessParts {
  readonly entries: readonly AccessEntry[] | undefined
  readonly verifier: PasswordVerifier
  readonly lockout: Lockout
  readonly logger: Logger
  readonly metrics: Metrics
}

export class Access {
  #table: UserTable | undefined
  readonly #verifier: PasswordVerifier
  readonly #lockout: Lockout
  readonly #log: Logger
  readonly #decisions: CountingMetric<{ readonly outcome: readonly Outcome[] }>
  /** Checks under way: many requests of one application that arrive together with one password make one check. */
  readonly #underWay = new Map<string, Promise<Check | 'locked'>>()

  /** Reading only: what a header is worth is asked anew each time. It is gone with its connection. */
  readonly #presented = new WeakMap<object, Presented>()

  constructor({ entries, verifier, lockout, logger, metrics }: AccessParts) {
    this.#table = entries === undefined ? undefined : new UserTable(entries)
    this.#verifier = verifier
    this.#lockout = lockout
    this.#log = logger.child({ part: 'access' })
    this.#decisions = metrics.counter({
      name: 'securesql_access_decisions_total',
      help: 'Decisions on requests by what they rested on. `open`: there is no access file.',
      labels: { outcome: outcomes },
    })
  }

  /** False without an access file: everything is allowed to everyone. */
  get enabled(): boolean {
    return this.#table !== undefined
  }

  /** Takes effect with the next decision; passwords that were found right before are checked anew. */
  replaceUsers(entries: readonly AccessEntry[]): void {
    this.#table = new UserTable(entries)
  }

  /** All of `needed` must be held, by `*` or by the user. */
  async decide(caller: Caller, needed: readonly Permission[]): Promise<Decision> {
    const table = this.#table
    if (table === undefined) return this.#allow('open', anonymous)
    const missing = needed.filter((permission) => !table.everyoneMay(permission))
    // `*` has it: the credentials are not looked at, so they prove nothing about who this is.
    if (missing.length === 0) return this.#allow('everyone', anonymous)
    const { credentials: presented, proof } = this.#present(table, caller)
    if (presented.kind === 'none') return this.#deny('no_credentials', 'permission_denied')
    if (presented.kind === 'malformed') {
      this.#log.warn({ client: { address: caller.address } }, 'malformed credentials')
      return this.#deny('malformed', 'permission_denied')
    }
    const { username, password } = presented
    const check = await this.#authenticate(table, { username, password, address: caller.address }, proof)
    // The file may have changed while bcrypt ran: the password was compared with a user who may be gone, so ask again.
    if (table !== this.#table) return this.decide(caller, needed)
    switch (check) {
      case 'locked':
        return this.#deny('locked_out', 'credentials_locked_out')
      case 'undecided':
        return this.#deny('overloaded', 'overloaded')
      case 'wrong':
        return this.#deny(table.isKnown(username) ? 'wrong_password' : 'unknown_user', 'permission_denied')
      case 'right':
        return this.#decideFor(table, { username, address: caller.address }, missing)
    }
  }

  /** For an identity that another member has checked: the same permissions, this node's file. */
  mayDo(identity: Identity, needed: readonly Permission[]): boolean {
    const table = this.#table
    if (table === undefined) return true
    return needed.every(
      (permission) => table.everyoneMay(permission) || (identity.kind === 'user' && table.userMay(identity.username, permission)),
    )
  }

  #decideFor(table: UserTable, client: { readonly username: string; readonly address: string }, missing: readonly Permission[]): Decision {
    const lacking = missing.filter((permission) => !table.userMay(client.username, permission))
    if (lacking.length === 0) return this.#allow('authenticated', { kind: 'user', username: client.username })
    this.#log.warn({ client: { user: client.username, address: client.address }, lacking }, 'permission denied')
    return this.#deny('not_permitted', 'permission_denied')
  }

  #present(table: UserTable, { authorization, connection }: Caller): Presented {
    const known = connection === undefined ? undefined : this.#presented.get(connection)
    if (known?.authorization === authorization && known?.table === table) return known
    const credentials = parseCredentials(authorization)
    const proof = credentials.kind === 'basic' ? table.proofOf(credentials.username, credentials.password) : ''
    const presented = { authorization, table, credentials, proof }
    if (connection !== undefined) this.#presented.set(connection, presented)
    return presented
  }

  async #authenticate(
    table: UserTable,
    who: { username: string; password: string; address: string },
    proof: string,
  ): Promise<Check | 'locked'> {
    if (this.#lockout.isLocked(who.username, who.address)) return 'locked'
    if (table.isRemembered(proof)) return 'right'
    const key = `${proof} ${who.address}`
    const already = this.#underWay.get(key)
    if (already !== undefined) return already
    const check = this.#checkOnce(table, who, proof)
    this.#underWay.set(key, check)
    try {
      return await check
    } finally {
      this.#underWay.delete(key)
    }
  }

  async #checkOnce(
    table: UserTable,
    { username, password, address }: { username: string; password: string; address: string },
    proof: string,
  ): Promise<Check | 'locked'> {
    if (!this.#lockout.begin(username, address)) return 'locked'
    const check = await this.#compare(table, username, password)
    const lockedNow = this.#lockout.end(username, address, check)
    if (check === 'right') table.remember(proof)
    if (check === 'wrong') {
      const client = { user: username, address }
      this.#log.warn({ client, known: table.isKnown(username) }, 'authentication failed')
      if (lockedNow) this.#log.warn({ client }, 'credentials locked out after repeated failures')
    }
    return check
  }

  async #compare(table: UserTable, username: string, password: string): Promise<Check> {
    const verdict = table.check(username, password)
    if (typeof verdict === 'boolean') return verdict ? 'right' : 'wrong'
    const matches = await this.#verifier.verify(password, verdict.hash)
    if (matches === 'overloaded') return 'undecided'
    return matches && !verdict.decoy ? 'right' : 'wrong'
  }

  #allow(outcome: Outcome, identity: Identity): Decision {
    this.#decisions.add({ outcome })
    return { kind: 'allowed', identity }
  }

  #deny(outcome: Outcome, code: 'permission_denied' | 'credentials_locked_out' | 'overloaded'): Decision {
    this.#decisions.add({ outcome })
    return { kind: 'denied', code }
  }
}
