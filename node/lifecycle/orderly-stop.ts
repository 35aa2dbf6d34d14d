// The way out: nothing that was accepted is dropped, and the cluster is not left without a leader. Each step has a bound, so that the whole ends within ten seconds.
import type { Logger } from '../../runtime/log.ts'
import type { Result } from '../../runtime/result.ts'
import type { Clock } from '../replica/clock.ts'
import type { Replica } from '../replica/replica-port.ts'

interface Closable {
  close(): Promise<void>
}

export interface StoppingParts {
  readonly api: Closable & { drain(): void; flushQueue(options: { readonly withinMs: number }): Promise<void> }
  /** Undefined before the node belongs to a cluster. */
  readonly replica: () => Pick<Replica, 'status' | 'standing' | 'transferLeadership' | 'close'> | undefined
  readonly peers: Closable & { leave(options: { readonly timeoutMs: number }): Promise<Result<void, { readonly message: string }>> }
  readonly store: Closable
  readonly access: Closable
  readonly leaving: { readonly leaveOnStop: boolean; readonly handOverOnStop: boolean }
  readonly clock: Pick<Clock, 'after'>
  readonly logger: Logger
}

// Queued writes go first, as long as this node leads or knows who does: a node that has left the cluster can write nothing.
const flushMsMax = 1_000
const handOverMsMax = 1_500
const leaveMsMax = 2_000
const finishMsMax = 2_500

/**
 * Says that it ends; writes what is queued; hands leadership over; leaves the cluster if it should; takes no new connections and finishes what is in flight, forwarded to the new leader where
 * need be; closes the rest in the reverse order of start.
 */
export async function stopInOrder(parts: StoppingParts): Promise<void> {
  const { api, peers, store, access } = parts
  const replica = parts.replica()
  api.drain()
  if (replica?.standing() === 'member') await api.flushQueue({ withinMs: flushMsMax })
  if (replica?.standing() === 'member') await stepAside(parts, replica)
  // This node goes on acknowledging while its last requests finish: its vote may be the one that a majority of two needs. What cannot finish (no majority) is ended by the
  // replica's close, and each end is an answer that the API still sends.
  const apiClosed = api.close()
  await Promise.race([apiClosed, new Promise<void>((resolve) => parts.clock.after(finishMsMax, resolve))])
  await Promise.all([apiClosed, replica?.close()])
  await peers.close()
  await store.close()
  await access.close()
}

async function stepAside(
  { leaving, peers, logger }: StoppingParts,
  replica: Pick<Replica, 'status' | 'transferLeadership'>,
): Promise<void> {
  // A leader that is about to leave hands over in any case: its removal is then one round of the new leader rather than an election.
  if (replica.status().role === 'leader' && (leaving.handOverOnStop || leaving.leaveOnStop)) {
    const done = await replica.transferLeadership({ to: undefined, timeoutMs: handOverMsMax })
    if (!done.ok) logger.warn({ code: done.problem.code }, 'nobody took over leadership')
  }
  if (!leaving.leaveOnStop) return
  const left = await peers.leave({ timeoutMs: leaveMsMax })
  if (left.ok) logger.info('left the cluster')
  else logger.warn({ why: left.problem.message }, 'did not leave the cluster')
}
