// A member whose own address in the membership is not the one that it advertises now (a new host name, another port) says so to the leader until the log agrees.
import type { Clock } from '../replica/clock.ts'
import type { Replica } from '../replica/replica-port.ts'
import { join, type JoinOptions } from './join.ts'
import { kindOf } from './join-server.ts'
import { pause } from './pause.ts'
import type { NodeRecord } from './join-words.ts'
import type { MemberDirectory } from './member-directory.ts'

export interface AnnounceOptions {
  readonly self: NodeRecord
  readonly directory: MemberDirectory
  readonly replica: () => Replica | undefined
  readonly clock: Clock
  readonly isClosed: () => boolean
  readonly join: Omit<JoinOptions, 'as' | 'addresses' | 'attempts'>
}

const intervalMs = 2_000
const changeMsMax = 10_000

/** Looks whenever the membership changes; one announcement at a time. */
export function announceAddress(options: AnnounceOptions): void {
  let isAnnouncing = false
  options.directory.onChange(() => {
    if (isAnnouncing || !isOutdated(options)) return
    isAnnouncing = true
    void announce(options).finally(() => {
      isAnnouncing = false
    })
  })
}

function isOutdated({ self, directory, isClosed }: AnnounceOptions): boolean {
  const known = directory.known(self.id)
  return !isClosed() && known?.incarnation === self.incarnation && (known.raftAddress !== self.raftAddress || known.apiUrl !== self.apiUrl)
}

async function announce(options: AnnounceOptions): Promise<void> {
  const { self, directory, clock } = options
  while (isOutdated(options)) {
    const replica = options.replica()
    if (replica?.status().role === 'leader') {
      const change = { kind: 'update-address', id: self.id, raftAddress: self.raftAddress, apiUrl: self.apiUrl } as const
      await replica.changeMembership(change, { timeoutMs: changeMsMax })
    } else {
      const addresses = directory.others().map(({ raftAddress }) => ({ kind: 'raft', address: raftAddress }) as const)
      const known = directory.known(self.id)
      const as = known === undefined ? 'voter' : kindOf(known)
      await join({ ...options.join, as, addresses: () => Promise.resolve(addresses), attempts: 1 })
    }
    await pause(clock, intervalMs)
  }
}
