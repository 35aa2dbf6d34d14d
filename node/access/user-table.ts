// The users of one reading of the access file. Immutable: a changed file makes a new table, and everything that was remembered about the old one
// (which passwords were right) goes with it.
import { createHmac, hash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { everyone, kindOfPassword } from '../../contract/access-file.ts'
import type { AccessEntry } from '../../contract/access-file.ts'
import type { Permission } from '../../contract/permissions.ts'

/** How a user's password is known here. Of a cleartext one only a keyed digest is kept in memory. */
type Secret = { readonly kind: 'digest'; readonly digest: Buffer } | { readonly kind: 'bcrypt'; readonly hash: string }

interface User {
  readonly permissions: ReadonlySet<Permission>
  readonly secret: Secret
}

// Right passwords that are remembered: one for each user and spare, since an application presents its password with every request and bcrypt costs 70 ms.
const rememberedMax = 10_000

export class UserTable {
  readonly #users = new Map<string, User>()
  readonly #everyone: ReadonlySet<Permission>
  readonly #key = randomBytes(32)
  // As text of constant length in front of what is hashed: this is asked on every request, and one call is a third of an HMAC object's.
  readonly #proofKey = randomBytes(32).toString('base64')
  readonly #remembered = new Set<string>()
  /** What an unknown user's password is compared with, so that it takes as long as a known user's. Undefined: the file holds no hashes. */
  readonly #decoyHash: string | undefined

  constructor(entries: readonly AccessEntry[]) {
    let bcryptCost = 0
    for (const { username, password, perms } of entries) {
      if (password === undefined) continue
      const kind = kindOfPassword(password)
      if (kind.kind === 'bcrypt') bcryptCost = Math.max(bcryptCost, kind.cost)
      const secret: Secret =
        kind.kind === 'bcrypt' ? { kind: 'bcrypt', hash: password } : { kind: 'digest', digest: this.#digest(password) }
      this.#users.set(username, { permissions: new Set(perms), secret })
    }
    this.#everyone = new Set(entries.find(({ username }) => username === everyone)?.perms)
    this.#decoyHash = bcryptCost === 0 ? undefined : decoyOf(bcryptCost)
  }

  everyoneMay(permission: Permission): boolean {
    return grants(this.#everyone, permission)
  }

  userMay(username: string, permission: Permission): boolean {
    const user = this.#users.get(username)
    return user !== undefined && grants(user.permissions, permission)
  }

  isKnown(username: string): boolean {
    return this.#users.has(username)
  }

  /**
   * The verdict itself, or the hash to compare with first. `decoy`: whatever bcrypt says, the password is wrong.
   * A stored hash is only ever compared by bcrypt, never as text: rqlite once took the hash itself for the password.
   */
  check(username: string, password: string): boolean | { readonly hash: string; readonly decoy: boolean } {
    const secret = this.#users.get(username)?.secret
    if (secret?.kind === 'bcrypt') return { hash: secret.hash, decoy: false }
    const matches = timingSafeEqual(this.#digest(password), secret?.digest ?? this.#key)
    if (matches && secret !== undefined) return true
    // As slow as a wrong password of a user with a hash: else the time would tell who exists, and who is kept in cleartext.
    return this.#decoyHash === undefined ? false : { hash: this.#decoyHash, decoy: true }
  }

  /** A name for the pair under a random key of this table: it says nothing about the password to who reads our memory. */
  proofOf(username: string, password: string): string {
    return hash('sha256', `${this.#proofKey}${username.length}:${username}${password}`, 'base64')
  }

  isRemembered(proof: string): boolean {
    return this.#remembered.has(proof)
  }

  remember(proof: string): void {
    this.#remembered.add(proof)
    if (this.#remembered.size <= rememberedMax) return
    const [oldest] = this.#remembered
    if (oldest !== undefined) this.#remembered.delete(oldest)
  }

  // Equal length whatever the password's: timingSafeEqual needs it, and its time must not depend on the length either.
  #digest(password: string): Buffer {
    return createHmac('sha256', this.#key).update(password).digest()
  }
}

function grants(held: ReadonlySet<Permission>, wanted: Permission): boolean {
  if (held.has('all') || held.has(wanted)) return true
  if (wanted === 'join-read-only') return held.has('join-read-replica')
  return wanted === 'join-read-replica' && held.has('join-read-only')
}

function decoyOf(cost: number): string {
  const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  const random = (length: number): string => Array.from({ length }, () => alphabet[randomInt(64)]).join('')
  return `$2b$${String(cost).padStart(2, '0')}$${random(21)}.${random(31)}`
}
