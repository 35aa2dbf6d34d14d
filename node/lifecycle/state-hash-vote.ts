// Which hash of the state a comparison puts into the log: the one that a majority of the voters has behind the same entry, never the leader's for being the leader's. A leader
// whose disk has changed something would otherwise have all others throw their states away and take its own. It stands between the replica's loop, which says when it is time,
// and the state machine, which knows its own hashes.
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import type { Entry } from '../raft/entry.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import { majorityOf } from '../raft/quorum.ts'
import type { RaftStatus } from '../raft/raft-port.ts'
import type { Clock } from '../replica/clock.ts'
import type { Applied, Divergence, StateMachine } from '../replica/state-machine.ts'

/** The state machine of the store: its hash behind each of the last commands, as text. */
export interface HashingMachine extends StateMachine {
  stateHashAt(index: number): string | undefined
}

export interface StateHashVoteOptions {
  readonly machine: HashingMachine
  readonly status: () => RaftStatus
  /** Another member's hash behind the same entry; undefined: no answer, or it is not there yet, or has forgotten it. */
  readonly ask: (member: NodeId, index: number) => Promise<string | undefined>
  /** What the machine's own payload compares; undefined: it has all begin anew, which needs no vote. */
  readonly indexOf: (payload: Uint8Array) => number | undefined
  readonly encode: (index: number, hash: string) => Uint8Array
  readonly propose: (payload: Uint8Array) => Promise<unknown>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** A follower applies an entry some milliseconds after the leader, or seconds where a long one is before it. */
const roundsMax = 10
const betweenMs = 500

export type Vote = { readonly kind: 'majority'; readonly hash: string } | { readonly kind: 'open' } | { readonly kind: 'unclear' }

/** `hashes`: of voters; who is missing has not answered. `unclear`: they differ, and whoever is missing cannot make a majority of it. */
export function voteOf(voters: ReadonlySet<NodeId>, hashes: ReadonlyMap<NodeId, string>): Vote {
  const counts = new Map<string, number>()
  for (const [id, hash] of hashes) if (voters.has(id)) counts.set(hash, (counts.get(hash) ?? 0) + 1)
  const needed = majorityOf(voters.size)
  for (const [hash, count] of counts) if (count >= needed) return { kind: 'majority', hash }
  const missing = Array.from(voters).filter((id) => !hashes.has(id)).length
  return Math.max(0, ...counts.values()) + missing < needed ? { kind: 'unclear' } : { kind: 'open' }
}

export class StateHashVote implements StateMachine {
  readonly #options: StateHashVoteOptions
  readonly #logger: Logger
  readonly #count: (outcome: 'agreed' | 'outvoted' | 'unclear' | 'unheard') => void
  #isVoting = false

  constructor(options: StateHashVoteOptions) {
    this.#options = options
    this.#logger = options.logger.child({ part: 'state-hash' })
    const votes = options.metrics.counter({
      name: 'securesql_state_hash_votes_total',
      help: 'Comparisons of the hashes of states that this leader has prepared. `outvoted`: most have another than its own. `unclear`: they differ without a majority, a person must decide. `unheard`: too few have answered.',
      labels: { outcome: ['agreed', 'outvoted', 'unclear', 'unheard'] as const },
    })
    this.#count = (outcome) => votes.add({ outcome })
  }

  get appliedIndex(): number {
    return this.#options.machine.appliedIndex
  }

  get appliedTerm(): number {
    return this.#options.machine.appliedTerm
  }

  get membership(): Membership | undefined {
    return this.#options.machine.membership
  }

  apply(entries: readonly Entry[]): void {
    this.#options.machine.apply(entries)
  }

  onApplied(listener: (applied: readonly Applied[]) => void): void {
    this.#options.machine.onApplied(listener)
  }

  makeDurable(): Promise<number> {
    return this.#options.machine.makeDurable()
  }

  onDiverged(listener: (divergence: Divergence) => void): void {
    this.#options.machine.onDiverged(listener)
  }

  close(): Promise<void> {
    return this.#options.machine.close()
  }

  /** The loop gets nothing to propose at once: what comes of the vote is proposed when it is known. What a majority has behind an applied entry stays true, whoever leads by then. */
  stateHash(): Uint8Array | undefined {
    const { machine, indexOf } = this.#options
    const own = machine.stateHash()
    const index = own === undefined ? undefined : indexOf(own)
    if (index === undefined) return own
    if (!this.#isVoting) {
      this.#isVoting = true
      void this.#vote(index).finally(() => {
        this.#isVoting = false
      })
    }
    return undefined
  }

  async #vote(index: number): Promise<void> {
    const { machine, encode, propose } = this.#options
    const hashes = new Map<NodeId, string>()
    let vote: Vote = { kind: 'open' }
    let own: string | undefined
    for (let round = 0; round < roundsMax && vote.kind === 'open'; round += 1) {
      if (round > 0) await this.#pause()
      own ??= machine.stateHashAt(index)
      vote = await this.#round(index, { own, hashes })
    }
    switch (vote.kind) {
      case 'majority':
        this.#count(vote.hash === own ? 'agreed' : 'outvoted')
        if (vote.hash !== own)
          this.#logger.error(
            { code: 'state_hash_outvoted', index, own, expected: vote.hash },
            'most voters have another state than this leader',
          )
        await propose(encode(index, vote.hash))
        return
      case 'unclear':
        return this.#differ(index, hashes)
      case 'open':
        // One of two that answer, and a third that does not: who knows whom it would join.
        if (new Set(hashes.values()).size > 1) return this.#differ(index, hashes)
        this.#count('unheard')
    }
  }

  async #round(index: number, seen: { readonly own: string | undefined; readonly hashes: Map<NodeId, string> }): Promise<Vote> {
    const status = this.#options.status()
    const voters = new Set(status.membership.members.filter(({ suffrage }) => suffrage === 'voter').map(({ id }) => id))
    if (seen.own !== undefined) seen.hashes.set(status.id, seen.own)
    const silent = Array.from(voters).filter((id) => id !== status.id && !seen.hashes.has(id))
    await Promise.all(
      silent.map(async (id) => {
        const hash = await this.#options.ask(id, index)
        if (hash !== undefined) seen.hashes.set(id, hash)
      }),
    )
    return voteOf(voters, seen.hashes)
  }

  #differ(index: number, hashes: ReadonlyMap<NodeId, string>): void {
    this.#count('unclear')
    this.#logger.error(
      { code: 'state_hash_unclear', index, hashes: Object.fromEntries(hashes) },
      'states differ, and no majority of the voters has the same: nothing was changed; a person must decide (docs/operations.md)',
    )
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.after(betweenMs, resolve)
    })
  }
}
