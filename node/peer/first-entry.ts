// The log's first entry of a cluster that was formed: the membership itself, as if it had been committed in term 1 before anyone was there. Every founder writes the same
// bytes into its empty log (thesis §4.4, bootstrapping), so the first leader's log matches everyone's. Nodes that join later get it from the leader.
import { makeEntry, type Entry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import type { LogStore } from '../replica/log-store.ts'

export function firstEntry(membership: Membership): Entry {
  return makeEntry({ index: 1, term: 1, kind: 'membership', payload: encodeMembership(membership) })
}

/** It must be on disk before the replica reads its log. */
export async function writeFirstEntry(
  log: Pick<LogStore, 'reader' | 'hardState' | 'onDurable' | 'append'>,
  members: Membership,
): Promise<void> {
  // A log that has begun anew after damage is empty as well, but it knows a term; members named by hand are no first entry.
  if (log.reader.lastIndex() > 0 || log.hardState.term > 0 || members.epoch !== undefined) return
  await new Promise<void>((resolve) => {
    log.onDurable(() => resolve())
    log.append({ sequence: 0, hardState: { term: 1, votedFor: undefined }, entries: [firstEntry(members)] })
  })
}
