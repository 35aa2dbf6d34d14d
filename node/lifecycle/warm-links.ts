// Keeps the connections for forwarding open to every voter: whoever leads next is then written to at once, rather than after a TLS handshake that clients wait for.
import type { Member } from '../raft/membership.ts'
import type { Clock } from '../replica/clock.ts'
import type { Replica } from '../replica/replica-port.ts'

export interface WarmLinksOptions {
  readonly replica: Pick<Replica, 'status' | 'onEvent' | 'standing'>
  /** A life sign on the connection that requests are forwarded on; dials it where there is none. */
  readonly reach: (member: Member, options: { readonly timeoutMs: number }) => Promise<unknown>
  readonly clock: Clock
}

/** A node that comes back is met again within this time; a life sign costs a few bytes. */
const everyMs = 5_000
const reachMsMax = 3_000

/** Until the returned function is called. */
export function keepLinksWarm({ replica, reach, clock }: WarmLinksOptions): () => void {
  const underWay = new Set<string>()
  const warm = (): void => {
    const { id: self, membership } = replica.status()
    if (replica.standing() !== 'member') return
    for (const member of membership.members) {
      if (member.id === self || member.suffrage !== 'voter' || underWay.has(member.id)) continue
      underWay.add(member.id)
      // Whether it answers does not matter: the next request that needs it says so by itself.
      void reach(member, { timeoutMs: reachMsMax }).finally(() => underWay.delete(member.id))
    }
  }
  replica.onEvent((event) => {
    if (event.kind === 'membership-changed') warm()
  })
  warm()
  return clock.every(everyMs, warm)
}
