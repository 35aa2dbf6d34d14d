// What must hold in every run of a virtual cluster, checked as it runs, from what the nodes sent and what is on their disks, never from what they believe.
import assert from 'node:assert/strict'
import type { Entry } from './entry.ts'
import type { Membership, NodeId } from './membership.ts'
import type { Parcel } from './message.ts'
import { majorityOf } from './quorum.ts'
import { votersOf } from './raft-state.ts'
import type { RaftStatus } from './raft-port.ts'
import type { VirtualNode } from './virtual-node.ts'

export class VirtualInvariants {
  readonly #nodes: ReadonlyMap<NodeId, VirtualNode>
  readonly #leaderOfTerm = new Map<number, NodeId>()
  readonly #votes = new Map<string, NodeId>()
  // "index:term" -> the entry and the term before it.
  readonly #written = new Map<string, { readonly entry: Entry; readonly termBefore: number }>()
  readonly #committed: Entry[] = []
  // In which leader's term each of them was first seen to be committed.
  readonly #committedInTerm: number[] = []
  readonly #lastCommit = new Map<NodeId, { readonly life: number; readonly index: number }>()
  /** The highest index of a write that a client was told of. */
  acknowledgedIndex = 0
  readonly #acknowledged: Entry[] = []

  // What was on a disk before it was put back in time.
  readonly #heldOnce = new Set<string>()

  constructor(nodes: ReadonlyMap<NodeId, VirtualNode>) {
    this.#nodes = nodes
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.length
  }

  /** Election safety and leader completeness (Raft figure 3). */
  becameLeader(node: VirtualNode, term: number): void {
    const other = this.#leaderOfTerm.get(term)
    assert(other === undefined || other === node.id, `${String(other)} and ${node.id} both lead term ${term}`)
    this.#leaderOfTerm.set(term, node.id)
    // Of what earlier terms have committed; a belated winner of an older term need not know what has happened since.
    const last = this.#committed[this.#committedInTerm.findLastIndex((committedIn) => committedIn < term)]
    if (last === undefined) return
    assert(
      node.disk.base.index >= last.index || (node.disk.lastIndex() >= last.index && node.disk.termAt(last.index) === last.term),
      `leader ${node.id} of term ${term} lacks committed entry ${last.index}`,
    )
  }

  /** Log matching (Raft figure 3): an index and a term name one entry and, entry by entry, all that stands before it. */
  wrote(node: VirtualNode, entries: readonly Entry[]): void {
    if (entries.length === 0) return
    let termBefore = node.disk.termAt((entries[0]?.index ?? 1) - 1)
    for (const entry of entries) {
      const key = `${entry.index}:${entry.term}`
      const known = this.#written.get(key)
      if (known === undefined) this.#written.set(key, { entry, termBefore })
      else assert(known.termBefore === termBefore && Buffer.compare(known.entry.bytes, entry.bytes) === 0, `entry ${key} is two entries`)
      termBefore = entry.term
    }
  }

  /** What a message promises is on the sender's disk when it leaves; a vote is given once per term over all lives. */
  sent(node: VirtualNode, parcel: Parcel): void {
    const { message } = parcel
    const isPromise =
      (message.kind === 'vote-reply' && message.granted) || message.kind === 'vote' || (message.kind === 'append-reply' && message.accepted)
    if (!isPromise) return
    assert(node.disk.hardState.term >= message.term, `${node.id} sent a ${message.kind} of a term that it could forget`)
    if (message.kind === 'append-reply') {
      assert(
        message.matchIndex <= node.disk.durableLastIndex,
        `${node.id} acknowledged entry ${message.matchIndex}, which is not on its disk`,
      )
      return
    }
    if (message.kind === 'vote')
      assert(node.disk.durableLastIndex >= message.lastLogIndex, `${node.id} stands for election with a log that it could lose`)
    const key = `${node.id}:${message.term}`
    const voteFor = message.kind === 'vote' ? node.id : parcel.to
    assert((this.#votes.get(key) ?? voteFor) === voteFor, `${node.id} voted twice in term ${message.term}`)
    this.#votes.set(key, voteFor)
  }

  /** The commit index never goes back within a life, and what a leader calls committed is on the disks of a majority. */
  stepped(node: VirtualNode, after: { readonly status: RaftStatus; readonly hasLeft: boolean }): void {
    const { status } = after
    const last = this.#lastCommit.get(node.id)
    assert(status.commitIndex <= status.lastIndex, 'what is committed stands in the log')
    assert(last === undefined || last.life !== node.lives || status.commitIndex >= last.index, 'the commit index went back')
    this.#lastCommit.set(node.id, { life: node.lives, index: status.commitIndex })
    if ((status.role === 'leader' || after.hasLeft) && status.commitIndex > this.#committed.length) this.#leaderCommitted(node, status)
  }

  /** State machine safety (Raft figure 3). */
  applied(node: VirtualNode, from: number): void {
    for (const entry of node.applied.slice(from)) {
      const known = this.#committed[entry.index - 1]
      assert(known !== undefined, `${node.id} applied entry ${entry.index}, which no leader has committed`)
      assert(known.term === entry.term && Buffer.compare(known.bytes, entry.bytes) === 0, `${node.id} applied another entry ${entry.index}`)
    }
  }

  /** This node is about to lose its disk: what it had acknowledged was true nevertheless. */
  losing(node: VirtualNode): void {
    const { disk } = node
    for (let index = disk.durableBase.index + 1; index <= disk.durableLastIndex; index += 1)
      this.#heldOnce.add(`${node.id} ${index}:${disk.durableAt(index)?.term ?? 0}`)
  }

  acknowledged(entry: Entry): void {
    this.#acknowledged.push(entry)
    this.acknowledgedIndex = Math.max(this.acknowledgedIndex, entry.index)
  }

  /** A read sees every write that was acknowledged before it began. */
  read(read: { readonly index: number; readonly acknowledgedBefore: number }): void {
    assert(read.index >= read.acknowledgedBefore, `a read at ${read.index} misses the write at ${read.acknowledgedBefore}`)
  }

  /** At the end, when all is healed: the same log everywhere, and every acknowledged write in it. */
  settled(membership: Membership): void {
    const members = Array.from(this.#nodes.values()).filter((node) => membership.members.some((member) => member.id === node.id))
    const lengths = new Set(members.map((node) => node.applied.length))
    assert.equal(lengths.size, 1, `the state machines differ in length: ${Array.from(lengths).join(', ')}`)
    for (const node of members) {
      for (const entry of this.#acknowledged)
        assert.equal(node.applied[entry.index - 1]?.term, entry.term, `acknowledged entry ${entry.index} is lost at ${node.id}`)
    }
  }

  #leaderCommitted(node: VirtualNode, status: RaftStatus): void {
    const voters = votersOf(status.membership)
    for (let index = this.#committed.length + 1; index <= status.commitIndex; index += 1) {
      const entry = node.disk.read({ from: index, to: index, bytesMax: 1 })[0]
      assert(entry !== undefined)
      const holders = Array.from(voters).filter((id) => this.#holds(id, entry))
      assert(
        holders.length >= majorityOf(voters.size),
        `entry ${index} was committed with ${holders.length} durable copies of ${voters.size}`,
      )
      this.#committed.push(entry)
      this.#committedInTerm.push(status.term)
    }
  }

  /** In its log, or replaced by a snapshot that holds it. */
  #holds(id: NodeId, entry: Entry): boolean {
    const disk = this.#nodes.get(id)?.disk
    if (this.#heldOnce.has(`${id} ${entry.index}:${entry.term}`)) return true
    return disk !== undefined && (disk.durableBase.index >= entry.index || disk.durableAt(entry.index)?.term === entry.term)
  }
}
