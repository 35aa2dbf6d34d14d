// What must hold in every run, checked as it runs, from what was sent and what the disks hold, never from what nodes believe of one another (Raft figure 3).
import type { Entry } from '../raft/entry.ts'
import { decodeMembership } from '../raft/membership-codec.ts'
import type { Member, Membership, NodeId } from '../raft/membership.ts'
import type { Parcel } from '../raft/message.ts'
import type { LogReader, Persist, RaftStatus } from '../raft/raft-port.ts'
import type { DurableLog, Holder } from './durable-log.ts'
import type { Sometimes } from './sometimes.ts'
import { must } from './violation.ts'

/** One life of a node, as the invariants see it. */
export interface Watched {
  readonly id: NodeId
  readonly incarnation: string
  readonly durable: DurableLog
  /** What it held before its disk was damaged, until it holds all of that again. */
  readonly formerly: Holder | undefined
  readonly reader: LogReader
  readonly status: RaftStatus
  /** How much was committed when this life last asked what it must have again (raft/doubt.ts); undefined: it has not asked. */
  committedWhenAsked: number | undefined
  lastCommit: number
  lastTerm: number
}

type Disk = Pick<Watched, 'durable' | 'formerly'>

interface Commit {
  /** Of the leader that was first seen to have committed the entry. */
  readonly term: number
  readonly voters: readonly Member[]
  /** Incarnations without whose lost copy the others were no majority. */
  readonly neededLost: readonly string[]
}

export class Invariants {
  readonly #sometimes: Sometimes
  readonly #nodes: (id: NodeId, incarnation: string) => Disk | undefined
  readonly #leaderOfTerm = new Map<number, string>()
  // Incarnation and term -> for whom.
  readonly #votes = new Map<string, NodeId>()
  // By index: every entry that was ever written there, and the term before it.
  readonly #written: { readonly entry: Entry; readonly termBefore: number }[][] = []
  readonly #committed: Entry[] = []
  // Of each of them.
  readonly #commits: Commit[] = []
  readonly #hashAt = new Map<number, number>()
  #membership: Membership | undefined

  constructor(options: { readonly sometimes: Sometimes; readonly nodes: (id: NodeId, incarnation: string) => Disk | undefined }) {
    this.#sometimes = options.sometimes
    this.#nodes = options.nodes
  }

  get committed(): readonly Entry[] {
    return this.#committed
  }

  /** The newest that is committed. */
  get membership(): Membership | undefined {
    return this.#membership
  }

  /** Election safety and leader completeness. */
  becameLeader(node: Watched, term: number): void {
    const other = this.#leaderOfTerm.get(term)
    must(
      other === undefined || other === node.incarnation,
      'election safety',
      () => `${other} and ${node.incarnation} both lead term ${term}`,
    )
    this.#leaderOfTerm.set(term, node.incarnation)
    // Of what earlier terms have committed; a belated winner of an older term need not know what has happened since.
    const last = this.#committed[this.#commits.findLastIndex((commit) => commit.term < term)]
    if (last === undefined) return
    const { reader } = node
    const isThere = last.index <= reader.base.index || (reader.lastIndex() >= last.index && reader.termAt(last.index) === last.term)
    must(isThere, 'leader completeness', () => `${node.id} leads term ${term} without the committed entry ${last.index}/${last.term}`)
  }

  /** Log matching: an index and a term name one entry and, entry by entry, all that stands before it. */
  wrote(node: Watched, persist: Persist, reader: LogReader): void {
    const first = persist.entries[0]
    if (first === undefined) return
    if (first.index <= reader.lastIndex()) this.#sometimes.met('entries replaced')
    let termBefore = first.index - 1 === persist.reset?.index ? persist.reset.term : reader.termAt(first.index - 1)
    for (const entry of persist.entries) {
      const there = (this.#written[entry.index] ??= [])
      const known = there.find((written) => written.entry.term === entry.term)
      if (known === undefined) there.push({ entry, termBefore })
      else {
        const isSame = known.termBefore === termBefore && (known.entry === entry || Buffer.compare(known.entry.bytes, entry.bytes) === 0)
        must(
          isSame,
          'log matching',
          () => `${node.id} writes another entry ${entry.index} of term ${entry.term} than was written elsewhere`,
        )
      }
      termBefore = entry.term
    }
  }

  /** What a message promises is on the sender's disk when it leaves; a vote is given once per term over all lives. */
  sent(node: Watched, { to, message }: Parcel): void {
    const { durable } = node
    // The process may end before its step does: what it says is committed is judged when it says so.
    if (message.kind === 'append' && message.leaderCommit > this.#committed.length) this.stepped(node)
    if (message.kind === 'append')
      must(
        this.#leaderOfTerm.get(message.term) === node.incarnation,
        'leader only',
        () => `${node.id} sends appends of term ${message.term}`,
      )
    if (message.kind === 'append-reply' && message.accepted) {
      must(
        durable.hardState.term >= message.term,
        'promise',
        () => `${node.id} acknowledges in term ${message.term}, its disk has ${durable.hardState.term}`,
      )
      must(
        message.matchIndex <= durable.last,
        'promise',
        () => `${node.id} acknowledges entry ${message.matchIndex}, its disk has ${durable.last}`,
      )
    }
    if (message.kind === 'read-index' && message.afterLoss) node.committedWhenAsked = this.#committed.length
    const isVote = message.kind === 'vote' || (message.kind === 'vote-reply' && message.granted)
    if (!isVote) return
    must(
      durable.hardState.term >= message.term,
      'promise',
      () => `${node.id} sends a ${message.kind} of term ${message.term} that it could forget`,
    )
    if (message.kind === 'vote')
      must(durable.last >= message.lastLogIndex, 'promise', () => `${node.id} stands for election with a log that it could lose`)
    const key = `${node.incarnation} ${message.term}`
    const voteFor = message.kind === 'vote' ? node.id : to
    const before = this.#votes.get(key) ?? voteFor
    must(before === voteFor, 'one vote', () => `${node.id} votes in term ${message.term} for ${voteFor} after ${before}`)
    this.#votes.set(key, voteFor)
  }

  /** Term and commit index never go back within a life, and what a leader calls committed is on the disks of a majority. */
  stepped(node: Watched): void {
    const { status } = node
    must(
      status.commitIndex <= status.lastIndex,
      'commit in log',
      () => `${node.id} commits ${status.commitIndex}, its log ends at ${status.lastIndex}`,
    )
    must(status.commitIndex >= node.lastCommit, 'commit monotone', () => `${node.id}: ${node.lastCommit}, then ${status.commitIndex}`)
    must(status.term >= node.lastTerm, 'term monotone', () => `${node.id}: ${node.lastTerm}, then ${status.term}`)
    must(
      status.appliedIndex <= status.commitIndex,
      'applied committed',
      () => `${node.id} applied ${status.appliedIndex} of ${status.commitIndex}`,
    )
    node.lastCommit = status.commitIndex
    node.lastTerm = status.term
    // It may have stepped down in the same step.
    const hasLed = this.#leaderOfTerm.get(status.term) === node.incarnation
    if (hasLed && status.commitIndex > this.#committed.length) this.#leaderCommitted(node, status)
  }

  /** State machine safety: at one index, every state machine has gone through the same. */
  applied(node: Watched, index: number, hash: number): void {
    must(
      index <= this.#committed.length,
      'state machine safety',
      () => `${node.id} has applied entry ${index}, which no leader has committed`,
    )
    const known = this.#hashAt.get(index)
    must(
      known === undefined || known === hash,
      'state machine safety',
      () => `${node.id} stands elsewhere after entry ${index} than others did`,
    )
    this.#hashAt.set(index, hash)
    must(
      index <= node.durable.last,
      'applied durable',
      () => `${node.id} has applied entry ${index}, its disk ends at ${node.durable.last}`,
    )
  }

  /** A snapshot has taken the place of a state machine. */
  installed(node: Watched, index: number, hash: number): void {
    must(index <= this.#committed.length, 'snapshot', () => `${node.id} installs a snapshot of ${index}, which no leader has committed`)
    const known = this.#hashAt.get(index)
    must(
      known === undefined || known === hash,
      'snapshot',
      () => `${node.id} installs a snapshot that says ${index} and holds something else`,
    )
  }

  /** The log may give up only what the database holds through a power failure. */
  gaveUp(node: Watched, index: number, durableIndex: number): void {
    must(
      index <= durableIndex,
      'compaction',
      () => `${node.id} gives up its log up to ${index}, its database is durable up to ${durableIndex}`,
    )
  }

  /**
   * A node that had lost entries is believed again: of what it had held it has everything back that was committed when it asked what it must have, or with its help.
   * It may lack what was committed later without it. Whoever hears its question takes back what it had acknowledged (raft/trust.ts), so from then on an entry is committed by
   * others or not at all, and those are a majority: the node is like any that the entry has not reached. Judged by the disks: its lost copy was not needed when the entry was
   * committed, and is not needed now, when lost copies of others that counted then may count no more.
   */
  trustedAgain(node: Watched): void {
    const { formerly, committedWhenAsked = Infinity } = node
    node.committedWhenAsked = undefined
    if (formerly === undefined) return
    for (const [at, entry] of this.#committed.entries()) {
      if (!formerly.holds(entry) || node.durable.holds(entry)) continue
      const commit = this.#commits[at]
      const isLeftToOthers =
        commit !== undefined &&
        entry.index > committedWhenAsked &&
        !commit.neededLost.includes(node.incarnation) &&
        this.#holders(entry, commit.voters).filter(({ incarnation }) => incarnation !== node.incarnation).length * 2 > commit.voters.length
      must(isLeftToOthers, 'trust', () => `${node.id} is trusted again without the committed entry ${entry.index}`)
      this.#sometimes.met('trusted again without what was committed since')
    }
  }

  /** What a disk has lost counts until its node is believed again: it may have been acknowledged. */
  #holders(entry: Entry, voters: readonly Member[]): readonly Member[] {
    return voters.filter(({ id, incarnation }) => {
      const disk = this.#nodes(id, incarnation)
      return disk !== undefined && (disk.durable.holds(entry) || disk.formerly?.holds(entry) === true)
    })
  }

  #leaderCommitted(node: Watched, status: RaftStatus): void {
    const voters = status.membership.members.filter((member) => member.suffrage === 'voter')
    for (let index = this.#committed.length + 1; index <= status.commitIndex; index += 1) {
      const entry = node.reader.read({ from: index, to: index, bytesMax: 1 })[0]
      must(entry !== undefined, 'commit in log', () => `${node.id} cannot read entry ${index}`)
      const holders = this.#holders(entry, voters)
      must(
        holders.length * 2 > voters.length,
        'durable quorum',
        () => `${node.id} commits ${index}/${entry.term} with ${holders.length} durable copies of ${voters.length}`,
      )
      const isNeeded = (holders.length - 1) * 2 <= voters.length
      const lost = isNeeded ? holders.filter(({ id, incarnation }) => this.#nodes(id, incarnation)?.durable.holds(entry) !== true) : []
      this.#committed.push(entry)
      this.#commits.push({ term: status.term, voters, neededLost: lost.map(({ incarnation }) => incarnation) })
      if (entry.kind === 'membership') this.#membershipCommitted(entry)
    }
  }

  /** Any two quorums of consecutive memberships share a member: at most one voter comes or goes (thesis §4.1). */
  #membershipCommitted(entry: Entry): void {
    const decoded = decodeMembership(entry.payload)
    must(decoded.ok, 'membership', () => `entry ${entry.index} cannot be read`)
    if (this.#membership !== undefined) {
      const voters = voterNames(decoded.value)
      const before = voterNames(this.#membership)
      const changes =
        Array.from(voters).filter((name) => !before.has(name)).length + Array.from(before).filter((name) => !voters.has(name)).length
      must(changes <= 1, 'membership', () => `entry ${entry.index} changes ${changes} votes at once`)
    }
    this.#membership = decoded.value
  }
}

function voterNames(membership: Membership): ReadonlySet<string> {
  return new Set(membership.members.filter((member) => member.suffrage === 'voter').map((member) => member.incarnation))
}
