// Linearizable reads.
import { seeds, testFile, type Inapplicable, type Mutation } from './mutation.ts'

export const ofReads: readonly Mutation[] = [
  {
    hazard: 34,
    text: 'a leader answers reads without asking whether it still leads',
    file: 'node/raft/read-index.ts',
    find: `  const confirmed = majorityReached(state.voters, (id) =>
    id === state.id ? state.readSequence : (leader.followers.get(id)?.countedReadSequence ?? 0),
  )`,
    replace: '  const confirmed = state.readSequence',
    by: seeds(500),
  },
  {
    hazard: 35,
    text: 'a new leader answers reads before it has committed in its term',
    file: 'node/raft/read-index.ts',
    find: 'if (leader.reads.waiting.length === 0 || !hasCommittedInTerm(state, leader)) return false',
    replace: 'if (leader.reads.waiting.length === 0) return false',
    by: testFile('node/raft/raft-thesis-reads.test.ts'),
  },
  {
    hazard: 36,
    text: 'an old confirmation confirms newer reads',
    file: 'node/raft/replication.ts',
    find: 'progress.readSequence = Math.max(progress.readSequence, Math.min(message.readSequence, state.readSequence))',
    replace: 'progress.readSequence = state.readSequence',
    by: testFile('node/raft/raft-thesis-reads.test.ts'),
  },
  {
    hazard: 39,
    text: 'a confirmed read does not wait until its index is applied',
    file: 'node/replica/callers.ts',
    find: 'if (end.index <= this.#view.appliedIndex()) waiter.resolve(ok(end.index))',
    replace: 'if (end.index >= 0) waiter.resolve(ok(end.index))',
    by: seeds(300),
  },
]

export const notOfReads: readonly Inapplicable[] = [
  {
    hazard: 41,
    text: 'a read shows what a group has written and takes back later',
    why: 'readers have connections, and processes, of their own: there is no code that could read on the connection that applies.',
  },
  {
    hazard: 37,
    text: 'a lease outlives a pause or a jump of the clock',
    why: 'there are no leases: every read is confirmed by a majority (thesis §6.4).',
  },
  { hazard: 38, text: 'a lease is kept over a transfer of leadership', why: 'there are no leases.' },
]
