// Port: may this caller join, or form a cluster with us? Owned by the peer room; the composition root implements it with node/access.
import type { Credentials } from './join-words.ts'

export interface JoinAuthorizer {
  /** `credentials` undefined: none were given. Default deny is the implementation's: without an access file it decides as rqlite does. Counts and locks out by itself. */
  authorize(
    credentials: Credentials | undefined,
    permission: 'join' | 'join-read-only',
    from: { readonly remoteAddress: string },
  ): Promise<boolean>
}
