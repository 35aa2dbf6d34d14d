// Joining, as far as users are concerned: who may let a node in, and as whom this node asks.
import { readFileSync } from 'node:fs'
import { kindOfPassword } from '../../contract/access-file.ts'
import { parseHostPort } from '../../contract/host-port.ts'
import { parseAccessFile } from '../../contract/parse-access-file.ts'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import type { Access } from './access.ts'

interface JoinCredentials {
  readonly username: string
  readonly password: string
}

/** What the Raft port asks before it lets a node join (node/peer/join-authorizer.ts): the same users, permissions and lock-out as the API's. */
export class JoinAuthority {
  readonly #access: Access

  constructor(access: Access) {
    this.#access = access
  }

  async authorize(
    credentials: JoinCredentials | undefined,
    permission: 'join' | 'join-read-only',
    from: { readonly remoteAddress: string },
  ): Promise<boolean> {
    const authorization =
      credentials === undefined
        ? undefined
        : `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`, 'utf8').toString('base64')}`
    const decision = await this.#access.decide({ authorization, address: hostOf(from.remoteAddress) }, [permission])
    return decision.kind === 'allowed'
  }
}

/** Credentials of `-join-as`: the cleartext password of that user in this node's own access file. A hash could not be sent. */
export function joinCredentials(
  username: string,
  accessFile: string | undefined,
): Result<JoinCredentials, { readonly code: 'join_as_without_password'; readonly message: string }> {
  const entries = accessFile === undefined ? undefined : parseAccessFile(readFileSync(accessFile, 'utf8'))
  const password = entries?.ok === true ? entries.value.find((entry) => entry.username === username)?.password : undefined
  if (password !== undefined && kindOfPassword(password).kind === 'cleartext') return ok({ username, password })
  return fail({
    code: 'join_as_without_password',
    message: `-join-as ${username}: the access file (-auth) must hold this user with a cleartext password, because a node must send it to join`,
  })
}

/** A lock-out is by address, and each connection has another port. */
function hostOf(remoteAddress: string): string {
  const parsed = parseHostPort(remoteAddress)
  return parsed.ok ? parsed.value.host : remoteAddress
}
