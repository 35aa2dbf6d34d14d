// Runs a scenario: a text of commands, each followed by everything that it made the cores do. The same text comes out as went in, or the core has changed.
// A line that begins with `#` is a comment, one that begins with `>` a command; all else is the trace and is made anew. See README.md for the commands.
import assert from 'node:assert/strict'
import type { MembershipChange, NodeId } from '../membership.ts'
import type { Input, Output } from '../raft-port.ts'
import { VirtualDisk } from '../virtual-disk.ts'
import { virtualLimits, virtualLog, virtualMember, virtualMembership, VirtualNode } from '../virtual-node.ts'
import { trace, traceMembers, traceMessage } from './trace.ts'
import type { Parcel } from '../message.ts'

const electionTicks = 10
const heartbeatTicks = 2
/** A conversation that has not come to rest by then never will. */
const roundsMax = 200

interface InFlight {
  readonly from: NodeId
  readonly parcel: Parcel
}

export function converse(text: string): string {
  const conversation = new Conversation()
  const lines: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) lines.push(line)
    if (!line.startsWith('>')) continue
    lines.push(line, ...conversation.run(line.slice(1).trim()).map((traced) => `  ${traced}`), '')
  }
  return `${lines.join('\n').trimEnd()}\n`
}

class Conversation {
  readonly #nodes = new Map<string, VirtualNode>()
  readonly #held = new Set<string>()
  readonly #cut = new Set<string>()
  #down = new Set<string>()
  readonly #wanted = new Map<string, string>()
  #inFlight: InFlight[] = []
  #lines: string[] = []

  run(command: string): readonly string[] {
    this.#lines = []
    const [verb = '', ...words] = command.split(/\s+/)
    const action = this.#actions[verb]
    assert(action !== undefined, `no command "${verb}"`)
    action(words)
    return this.#lines
  }

  readonly #actions: Readonly<Record<string, (words: readonly string[]) => void>> = {
    cluster: (words) => this.#cluster(words),
    // What has been shown elsewhere.
    quietly: (words) => {
      this.run(words.join(' '))
      this.#lines = []
    },
    join: ([id = '']) => this.#begin(id, { voters: [], learners: [] }, [], 0),
    campaign: ([id = '']) => this.#campaign(id),
    tick: ([id = '', count = '1']) => this.#give(id, ...Array.from({ length: Number(count) }, (): Input => ({ kind: 'tick' }))),
    propose: ([id = '', ...texts]) =>
      this.#give(id, ...texts.map((text, n): Input => ({ kind: 'propose', id: n + 1, payload: new TextEncoder().encode(text) }))),
    read: ([id = '', ...ids]) => this.#give(id, ...ids.map((read): Input => ({ kind: 'read', id: Number(read) }))),
    transfer: ([id = '', to]) => this.#give(id, { kind: 'transfer', to: to as NodeId | undefined }),
    add: ([id = '', name = '']) => this.#give(id, { kind: 'change-membership', id: 1, change: added('add-learner', name) }),
    replica: ([id = '', name = '']) => this.#give(id, { kind: 'change-membership', id: 1, change: added('add-non-voter', name) }),
    remove: ([id = '', name = '']) => this.#give(id, { kind: 'change-membership', id: 1, change: { kind: 'remove', id: name as NodeId } }),
    compact: ([id = '', index = '']) => this.#node(id).disk.compact(Number(index)),
    // The first has received a snapshot that the second has just made.
    snapshot: ([id = '', from = '']) => this.#give(id, this.#node(id).stage(this.#node(from).takeSnapshot())),
    'lose-state': ([id = '']) => this.#give(id, this.#node(id).loseState()),
    // Of a node that is down: everything after the entry is gone, and the disk says nothing of it, or (`untrusted`) the loss was found at the start.
    'lose-log': ([id = '', index = '', trust]) => this.#node(id).loseAfter(Number(index), trust === 'untrusted' ? 'untrusted' : 'trusted'),
    unreachable: ([id = '', other = '']) => this.#give(id, { kind: 'unreachable', id: other as NodeId }),
    hold: ([id = '', what = '']) => void this.#held.add(`${id} ${what}`),
    release: ([id = '', what = '']) => this.#release(id, what),
    cut: ([a = '', b = '']) => void this.#cut.add(`${a} ${b}`).add(`${b} ${a}`),
    heal: () => this.#cut.clear(),
    deliver: ([route]) => this.#deliver(route),
    drop: ([route]) => this.#drop(route),
    settle: () => this.#settle(),
    crash: ([id = '']) => this.#crash(id),
    restart: ([id = '']) => this.#restart(id),
    status: () => this.#status(),
    log: ([id = '']) => this.#showLog(id),
  }

  // cluster voters=n1,n2,n3 learners=n4 n1=1,1,2 term=3 epoch=1: n1 has a log of these terms, everyone's disk says term 3, and the membership was written by hand once.
  #cluster(words: readonly string[]): void {
    const options = new Map(words.map((word) => word.split('=') as [string, string]))
    const list = (key: string): readonly string[] => (options.get(key) ?? '').split(',').filter((item) => item !== '')
    const suffrages = { voters: list('voters'), learners: list('learners'), epoch: options.get('epoch') }
    for (const id of [...suffrages.voters, ...suffrages.learners])
      this.#begin(id, suffrages, list(id).map(Number), Number(options.get('term') ?? 0))
  }

  #begin(
    id: string,
    members: { readonly voters: readonly string[]; readonly learners: readonly string[]; readonly epoch?: string | undefined },
    terms: readonly number[],
    term: number,
  ): void {
    const disk = new VirtualDisk()
    disk.write({ sequence: 0, hardState: { term: Math.max(term, terms.at(-1) ?? 0), votedFor: undefined }, entries: virtualLog(terms) })
    disk.sync(0)
    const listed = virtualMembership(members.voters, members.learners)
    const membership = members.epoch === undefined ? listed : { ...listed, epoch: Number(members.epoch) }
    this.#nodes.set(
      id,
      new VirtualNode({
        id: id as NodeId,
        membership,
        electionTicks,
        heartbeatTicks,
        seed: this.#nodes.size + 1,
        limits: virtualLimits,
        disk,
      }),
    )
  }

  #campaign(id: string): void {
    for (let tick = 0; tick < 2 * electionTicks; tick += 1) {
      this.#give(id, { kind: 'tick' })
      if (this.#node(id).raft.status().role.endsWith('candidate')) return
    }
    this.#lines.push(`${id} does not stand`)
  }

  // Disk and state machine of a node keep up at once unless they are held.
  #give(id: string, ...inputs: readonly Input[]): void {
    const node = this.#node(id)
    this.#step(node, inputs)
    for (let next = this.#followUp(node); next !== undefined; next = this.#followUp(node)) this.#step(node, [next])
  }

  #step(node: VirtualNode, inputs: readonly Input[]): void {
    const output = node.step(inputs)
    this.#lines.push(...trace(node.id, output))
    this.#showWanted(node.id, output)
    for (const parcel of output.send) this.#inFlight.push({ from: node.id, parcel })
  }

  // It is said with every step, and shown when it changes.
  #showWanted(id: string, { fetchSnapshot }: Output): void {
    const wanted = fetchSnapshot === undefined ? '' : `needs a snapshot of ${fetchSnapshot.indexMin} or more from ${fetchSnapshot.from}`
    if (wanted !== '' && wanted !== this.#wanted.get(id)) this.#lines.push(`${id} ${wanted}`)
    this.#wanted.set(id, wanted)
  }

  #followUp(node: VirtualNode): Input | undefined {
    const sequence = node.disk.pendingSequences.at(-1)
    if (sequence !== undefined && !this.#held.has(`${node.id} disk`)) {
      node.disk.sync(sequence)
      return { kind: 'durable', sequence }
    }
    return node.toApply.length > 0 && !this.#held.has(`${node.id} apply`) ? node.apply(node.toApply.length) : undefined
  }

  #release(id: string, what: string): void {
    this.#held.delete(`${id} ${what}`)
    this.#give(id)
  }

  // One round: what these deliveries cause stays in flight. A route is `n1>n2`, `n1>*` or `*>n2`.
  #deliver(route: string | undefined): void {
    const { chosen, left } = this.#choose(route)
    this.#inFlight = left
    for (const { from, parcel } of chosen) {
      if (this.#cut.has(`${from} ${parcel.to}`) || this.#down.has(parcel.to)) this.#lines.push(`lost: ${traceMessage(from, parcel)}`)
      else {
        this.#lines.push(`${parcel.to} gets from ${from}: ${parcel.message.kind}`)
        this.#give(parcel.to, { kind: 'message', from, message: parcel.message })
      }
    }
  }

  #drop(route: string | undefined): void {
    const { chosen, left } = this.#choose(route)
    this.#inFlight = left
    for (const { from, parcel } of chosen) this.#lines.push(`lost: ${traceMessage(from, parcel)}`)
  }

  #choose(route: string | undefined): { readonly chosen: readonly InFlight[]; readonly left: InFlight[] } {
    const [from = '*', to = '*'] = (route ?? '*>*').split('>')
    const isChosen = (flight: InFlight): boolean => (from === '*' || flight.from === from) && (to === '*' || flight.parcel.to === to)
    return { chosen: this.#inFlight.filter(isChosen), left: this.#inFlight.filter((flight) => !isChosen(flight)) }
  }

  #settle(): void {
    for (let round = 0; this.#inFlight.length > 0; round += 1) {
      assert(round < roundsMax, 'the conversation does not come to rest')
      this.#deliver(undefined)
    }
  }

  #crash(id: string): void {
    this.#node(id).crash(0)
    this.#down.add(id)
  }

  #restart(id: string): void {
    this.#down.delete(id)
    this.#node(id).restart()
  }

  #status(): void {
    for (const [id, node] of this.#nodes) {
      const { role, term, leader, commitIndex, lastIndex, membership, trust } = node.raft.status()
      this.#lines.push(
        `${id}: ${this.#down.has(id) ? 'down' : role}, term ${term}, leader ${leader ?? 'unknown'}, committed ${commitIndex} of ${lastIndex}, members ${traceMembers(membership)}${trust === 'trusted' ? '' : ', untrusted'}`,
      )
    }
  }

  #showLog(id: string): void {
    const { disk } = this.#node(id)
    const { index, term } = disk.base
    const entries = Array.from({ length: disk.lastIndex() - index }, (_, n) => `${index + n + 1}/${disk.termAt(index + n + 1)}`)
    this.#lines.push(`${id}: ${index === 0 ? '' : `after ${index}/${term}: `}${entries.join(' ')}`)
  }

  #node(id: string): VirtualNode {
    const node = this.#nodes.get(id)
    assert(node !== undefined, `no node "${id}"`)
    return node
  }
}

function added(kind: 'add-learner' | 'add-non-voter', name: string): MembershipChange {
  const { id, incarnation, raftAddress, apiUrl } = virtualMember(name, 'learner')
  return { kind, member: { id, incarnation, raftAddress, apiUrl } }
}
