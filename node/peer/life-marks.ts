// Whose disk was put back in time? A node that has lost what it acknowledged (a virtual machine's snapshot or a backup put back under a running cluster, two copies of one
// data directory) must not vote: what it forgot may be a vote, or an entry that counted for a majority (Raft §5.2 and §5.4 rest on stable storage).
//
// Each hello says where the caller's disk stands: `number` counts the starts of the data directory and is durable before the first hello; `process` is drawn by each
// process; `term` was on the disk when that process began. For each member, by incarnation, the highest that was heard is kept, and the terms of promises that the
// process makes later: what leaves a node only when its term is on its disk (`isPromise`). A hello is refused as `rolled_back` when
//   1. its number is lower than the highest heard, or
//   2. its number is the same but another process says it (two processes counted on from the same disk), or
//   3. its number is higher, but it began with a lower term than an earlier life had on its disk.
// The one refused notes on its disk that it is untrusted, and says so: then it is let in, and the marks are what it says now. It votes again when it has caught up.
//
// Why no sound disk is refused, however connections are delayed or overtake each other:
// - Hellos of one process have the same number and the same `process`, so rules 1 and 2 hold none of them up; terms are not compared within a process.
// - Of two processes on one sound disk the later has the higher number, and it started when the earlier was dead: the data directory is locked. Its disk held every term that
//   the earlier one ever said or promised in, so rule 3 passes. Were a hello of the dead one heard after it, rule 1 would refuse a connection that nobody holds any more; a refused
//   hello leaves no mark.
// - An untrusted one may lower the marks. Were that hello heard late, the marks would be lower than they could be, which refuses nobody.
// What is not seen: marks live as long as the process that keeps them. When all others have restarted too, or the copy is as new as what they heard last (a member that was cut
// off from this node heard little), or it was started so often unheard that its number has grown past theirs in the same term, the leader's own watch over acknowledged entries
// remains (`distrust` in raft/message.ts).
import type { Member, NodeId } from '../raft/membership.ts'
import type { Message } from '../raft/message.ts'
import type { Life } from './hello.ts'

interface Mark {
  readonly incarnation: string
  readonly life: Life
}

export class LifeMarks {
  /** One for each id that has proven to be a member; ids are as few as members. */
  readonly #marks = new Map<NodeId, Mark>()

  /** Of a caller that has proven to be `member`. Undefined: its disk is as new as it ever was, or it knows better itself; noted. */
  judge({ id, incarnation }: Pick<Member, 'id' | 'incarnation'>, life: Life): 'rolled_back' | undefined {
    // A store that does not count its lives cannot be judged by them.
    if (life.number === 0) return undefined
    const mark = this.#marks.get(id)
    if (mark === undefined || mark.incarnation !== incarnation || life.isUntrusted) return this.#note({ id, incarnation }, life)
    if (life.number < mark.life.number) return 'rolled_back'
    if (life.number > mark.life.number) return life.term < mark.life.term ? 'rolled_back' : this.#note({ id, incarnation }, life)
    if (!Buffer.from(life.process).equals(mark.life.process)) return 'rolled_back'
    return this.#note({ id, incarnation }, { ...life, term: Math.max(life.term, mark.life.term) })
  }

  /** A promise in `term` has come from that process of the member: the term is on its disk. */
  promised(
    { id, incarnation }: Pick<Member, 'id' | 'incarnation'>,
    promise: { readonly process: Uint8Array; readonly term: number },
  ): void {
    const mark = this.#marks.get(id)
    if (mark === undefined || mark.life.term >= promise.term || mark.incarnation !== incarnation) return
    if (Buffer.compare(mark.life.process, promise.process) === 0)
      this.#marks.set(id, { incarnation, life: { ...mark.life, term: promise.term } })
  }

  #note({ id, incarnation }: Pick<Member, 'id' | 'incarnation'>, life: Life): undefined {
    // A copy: what was heard is a view into the bytes of a connection.
    this.#marks.set(id, { incarnation, life: { ...life, process: Uint8Array.from(life.process) } })
  }
}

/**
 * What leaves a node only when its term is on its disk (Raft figure 2): an accepted append and a granted vote, a candidate's own vote before it asks for others, and so whatever
 * a leader says as one. Other messages may name a term that the sender has only heard of.
 */
export function isPromise(message: Message): boolean {
  switch (message.kind) {
    case 'append-reply':
      return message.accepted
    case 'vote-reply':
      return message.granted
    case 'vote':
    case 'append':
    case 'install-snapshot':
      return true
    case 'pre-vote':
    case 'pre-vote-reply':
    case 'read-index':
    case 'read-index-reply':
    case 'timeout-now':
    case 'distrust':
      return false
  }
}
