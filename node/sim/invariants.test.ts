// What the invariants find, and what they let pass, of a node that is believed again after its disk has lost something.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstEntry } from '../peer/first-entry.ts'
import { makeEntry, type Entry } from '../raft/entry.ts'
import type { Membership } from '../raft/membership.ts'
import type { LogReader, RaftStatus } from '../raft/raft-port.ts'
import { DurableLog, eitherOf } from './durable-log.ts'
import { Invariants, type Watched } from './invariants.ts'
import { Sometimes } from './sometimes.ts'
import { memberOf } from './world.ts'

type Node = { -readonly [Key in keyof Watched]: Watched[Key] }

const names = ['n01', 'n02', 'n03', 'n04', 'n05'] as const
type Name = (typeof names)[number]

/** n01 leads five voters in term 1. */
class Five {
  readonly invariants: Invariants
  readonly entries: Entry[] = []
  readonly #nodes: readonly Node[]
  readonly #membership: Membership

  constructor() {
    this.#membership = { members: names.map((name) => memberOf(name as never, 'voter')) }
    this.#nodes = this.#membership.members.map(({ id, incarnation }) => ({
      id,
      incarnation,
      durable: new DurableLog(),
      formerly: undefined,
      reader: { read: ({ from }: { readonly from: number }) => [this.entries[from - 1]] } as unknown as LogReader,
      status: {} as RaftStatus,
      committedWhenAsked: undefined,
      lastCommit: 0,
      lastTerm: 0,
    }))
    this.invariants = new Invariants({
      sometimes: new Sometimes(),
      nodes: (id, incarnation) => this.#nodes.find((node) => node.id === id && node.incarnation === incarnation),
    })
    this.invariants.becameLeader(this.node('n01'), 1)
    this.append(...names)
    this.commits(1)
  }

  node(name: Name): Node {
    const node = this.#nodes.find(({ id }) => id === name)
    assert(node !== undefined)
    return node
  }

  /** The next entry reaches these disks. */
  append(...holders: readonly Name[]): void {
    const index = this.entries.length + 1
    this.entries.push(index === 1 ? firstEntry(this.#membership) : makeEntry({ index, term: 1, kind: 'noop', payload: new Uint8Array(0) }))
    for (const name of holders) this.writes(name, index)
  }

  writes(name: Name, index: number): void {
    const entry = this.entries[index - 1]
    assert(entry !== undefined)
    this.node(name).durable.entries.push(entry)
  }

  commits(commitIndex: number): void {
    const leader = this.node('n01')
    const { length: lastIndex } = this.entries
    leader.status = { term: 1, commitIndex, lastIndex, appliedIndex: 0, membership: this.#membership } as RaftStatus
    this.invariants.stepped(leader)
  }

  /** All but the first entry. */
  loses(name: Name): void {
    const node = this.node(name)
    node.formerly = eitherOf(node.durable.copy(), node.formerly)
    node.durable.entries.length = 1
  }

  asks(name: Name): void {
    const message = { kind: 'read-index', term: 1, id: 1, afterLoss: true } as const
    this.invariants.sent(this.node(name), { to: this.node('n01').id, message })
  }

  believed(name: Name): void {
    this.invariants.trustedAgain(this.node(name))
    this.node(name).formerly = undefined
  }
}

const lacksTwo = { rule: 'trust', message: /n02 is trusted again without the committed entry 2$/ }

test('what was committed before a node asked what it must have is missed, though all others hold it', () => {
  const five = new Five()
  five.append(...names)
  five.commits(2)
  five.loses('n02')
  five.asks('n02')
  assert.throws(() => five.believed('n02'), lacksTwo)
})

test('what the first of two losses took is missed', () => {
  const five = new Five()
  five.append(...names)
  five.commits(2)
  five.loses('n02')
  five.loses('n02')
  five.asks('n02')
  assert.throws(() => five.believed('n02'), lacksTwo)
})

test('what was committed after a loss and before the question is missed', () => {
  const five = new Five()
  five.append(...names)
  five.loses('n02')
  five.commits(2)
  five.asks('n02')
  assert.throws(() => five.believed('n02'), lacksTwo)
})

test('a node that has not asked since its loss may lack nothing, nor one that was believed again since it asked', () => {
  for (const hasAskedBefore of [false, true]) {
    const five = new Five()
    if (hasAskedBefore) {
      five.asks('n02')
      five.believed('n02')
    }
    five.append(...names)
    five.loses('n02')
    five.commits(2)
    assert.throws(() => five.believed('n02'), lacksTwo)
  }
})

test('what was committed after the question with the help of the lost copy is missed, though others hold it by now', () => {
  const five = new Five()
  five.append('n01', 'n02', 'n03')
  five.loses('n02')
  five.asks('n02')
  five.commits(2)
  five.writes('n04', 2)
  five.writes('n05', 2)
  assert.throws(() => five.believed('n02'), lacksTwo)
})

test('what was committed after the question, by others, may be missing: the node is like any that it has not reached', () => {
  const five = new Five()
  five.append('n01', 'n02', 'n03')
  five.loses('n02')
  five.asks('n02')
  five.writes('n04', 2)
  five.commits(2)
  five.believed('n02')
})

test('of two lost copies, either of which was enough, one has to be there again', () => {
  const five = new Five()
  five.append('n01', 'n02', 'n03', 'n04')
  five.loses('n02')
  five.loses('n03')
  five.asks('n02')
  five.asks('n03')
  five.commits(2)
  five.believed('n03')
  assert.throws(() => five.believed('n02'), lacksTwo)
  five.writes('n02', 2)
  five.believed('n02')
})
