// Elections, terms and votes.
import { seeds, testFile, type Inapplicable, type Mutation } from './mutation.ts'

export const ofElections: readonly Mutation[] = [
  {
    hazard: 1,
    text: 'a vote is answered before it is on the disk',
    file: 'node/raft/election.ts',
    find: "sendWhenDurable(state, from, { message: { kind: 'vote-reply', term: state.term, granted: true }, logIndex: 0 })",
    replace: "send(state, from, { kind: 'vote-reply', term: state.term, granted: true })",
    by: seeds(50),
  },
  {
    hazard: 2,
    text: 'stepping down within a term forgets the vote',
    file: 'node/raft/transitions.ts',
    find: 'if (as.term > state.term) enterTerm(state, as.term, undefined)',
    replace: 'enterTerm(state, as.term, undefined)',
    by: testFile('node/raft/raft-paper-election.test.ts'),
  },
  {
    hazard: 3,
    text: 'a candidate with a longer log of older terms gets the vote',
    file: 'node/raft/raft-state.ts',
    find: 'if (candidate.lastLogTerm !== log.lastTerm) return candidate.lastLogTerm > log.lastTerm',
    replace: '',
    by: seeds(500),
  },
  {
    hazard: 4,
    text: 'a repeated vote counts again',
    file: 'node/raft/election.ts',
    find: `  if (state.role.kind !== 'candidate') return
  state.role.votes.set(from, message.granted)
  settleVotes(state)`,
    replace: `  if (state.role.kind !== 'candidate') return
  state.role.tally = (state.role.tally ?? 1) + (message.granted ? 1 : 0)
  if (state.role.tally > state.voters.size / 2) takeOver(state)
  else if (!message.granted) settleVotes(state)`,
    by: testFile('node/raft/raft-paper-election.test.ts'),
  },
  {
    hazard: 5,
    text: 'a node that has a leader helps to depose it',
    file: 'node/raft/election.ts',
    find: 'return isFollowing(state.role) && state.role.leader !== candidate && state.electionElapsed < state.electionTicks',
    replace: 'return false',
    by: testFile('node/raft/raft-thesis-leadership.test.ts'),
  },
  {
    hazard: 6,
    text: 'asking for pre-votes raises the own term',
    file: 'node/raft/transitions.ts',
    find: "  state.role = { kind: 'pre-candidate', votes: new Map([[state.id, true]]) }",
    replace: "  enterTerm(state, state.term + 1, undefined)\n  state.role = { kind: 'pre-candidate', votes: new Map([[state.id, true]]) }",
    by: testFile('node/raft/raft-thesis-leadership.test.ts'),
  },
  {
    hazard: 9,
    text: 'who was asked to take over is refused by those who still have a leader',
    file: 'node/raft/raft.ts',
    find: 'if (!message.transfer && isLoyal(state, from)) return false',
    replace: 'if (isLoyal(state, from)) return false',
    by: testFile('node/raft/raft-thesis-leadership.test.ts'),
  },
  {
    hazard: 11,
    text: 'a learner does not answer those who know it as a voter',
    file: 'node/raft/election.ts',
    find: 'if (state.doubt !== undefined || !isFree || !isUpToDate(state.log, message))',
    replace: 'if (state.doubt !== undefined || !isVoter(state) || !isFree || !isUpToDate(state.log, message))',
    by: testFile('node/raft/raft-thesis-membership.test.ts'),
  },
  {
    hazard: 11,
    text: 'a learner whose promotion it does not know to be committed never stands',
    file: 'node/raft/election.ts',
    find: 'const mayWin = isVoter(state) || state.membershipLog.givesVoteTo(state.id)',
    replace: 'const mayWin = isVoter(state)',
    by: testFile('node/raft/raft-thesis-membership.test.ts'),
  },
  {
    hazard: 12,
    text: 'a candidate stands with a log and a term that are not on its disk',
    file: 'node/raft/outbox.ts',
    find: 'const sequence = Math.max(this.#log.sequenceCovering(logIndex) ?? 0, this.#hardStateSequence)',
    replace:
      "const sequence = promised.kind === 'send' ? Math.max(this.#log.sequenceCovering(logIndex) ?? 0, this.#hardStateSequence) : this.#durableSequence + 1",
    by: seeds(300),
  },
  {
    hazard: 13,
    text: 'a deposed leader goes on in the new term',
    file: 'node/raft/transitions.ts',
    find: "  state.role = { kind: 'follower', leader: as.leader }",
    replace: "  if (before.kind !== 'leader' || as.leader !== undefined) state.role = { kind: 'follower', leader: as.leader }",
    by: seeds(100),
  },
  {
    hazard: 14,
    text: 'after a pause all missed ticks are paid',
    file: 'node/replica/tick-source.ts',
    find: 'this.#owed = Math.min(this.#owedMax, this.#owed + elapsed)',
    replace: 'this.#owed = this.#owed + elapsed',
    by: testFile('node/replica/tick-source.test.ts'),
  },
  {
    hazard: 16,
    text: 'time is counted on the wall clock, which jumps',
    file: 'node/replica/tick-source.ts',
    find: 'const elapsed = Math.round((this.#clock.monotonicMs() - this.#countedToMs) / this.#tickMs)',
    replace: 'const elapsed = Math.round((this.#clock.wallMs() - 1_700_000_000_000 - this.#countedToMs) / this.#tickMs)',
    by: testFile('node/replica/tick-source.test.ts'),
  },
]

export const notOfElections: readonly Inapplicable[] = []
