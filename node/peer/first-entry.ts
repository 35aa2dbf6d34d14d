// The log's first entry of a cluster that was formed: the membership itself, as if it had been committed in term 1 before anyone was there. Every founder writes the same
// bytes into its empty log (thesis §4.4, bootstrapping), so the first leader's log matches everyone's. Nodes that join later get it from the leader.
import { makeEntry, type Entry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'

export function firstEntry(membership: Membership): Entry {
  return makeEntry({ index: 1, term: 1, kind: 'membership', payload: encodeMembership(membership) })
}
