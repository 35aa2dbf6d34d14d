// What every transport must do; each implementation's test file calls this.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { makeEntry } from '../raft/entry.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Message } from '../raft/message.ts'
import { eventually, meanwhile } from './eventually.ts'
import type { Transport } from './transport.ts'

export interface TransportNode {
  readonly id: NodeId
  readonly transport: Transport
}

/** Two members of one cluster and a node that is none of them but knows their addresses; the contract sets memberships and listeners. */
export interface TransportUnderTest {
  readonly a: TransportNode
  readonly b: TransportNode
  readonly outsider: TransportNode
  /** a and b. */
  readonly membership: Membership
  /** a, b and the outsider, as only the outsider sees it. */
  readonly outsiderMembership: Membership
  /** b ends as a dying process does. */
  readonly stopB: () => Promise<void>
  readonly dispose: () => Promise<void>
}

export function transportContract(name: string, make: () => Promise<TransportUnderTest>): void {
  const contract = (title: string, body: (world: TransportUnderTest, heard: Heard) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const world = await make()
      try {
        await body(world, new Heard(world))
      } finally {
        await world.dispose()
      }
    })
  }
  deliveryRules(contract)
  admissionRules(contract)
}

type Contract = (title: string, body: (world: TransportUnderTest, heard: Heard) => Promise<void>) => void

function deliveryRules(contract: Contract): void {
  contract('a message arrives as it was sent and says who sent it, in both directions', async ({ a, b }, heard) => {
    await heard.delivered(a, b, append(1))
    await heard.delivered(b, a, append(2))
  })

  contract('every kind of message arrives unchanged', async ({ a, b }, heard) => {
    for (const message of everyKind) await heard.delivered(a, b, message)
  })

  contract('large entries arrive byte by byte', async ({ a, b }, heard) => {
    const payload = new Uint8Array(1024 * 1024).map((_, position) => (position * 31) % 251)
    await heard.delivered(a, b, append(1, payload))
  })

  contract('messages of one connection arrive in order', async ({ a, b }, heard) => {
    await heard.delivered(a, b, append(1))
    const numbers = (): readonly number[] => heard.at(b).flatMap(({ message }) => (message.kind === 'read-index' ? [message.id] : []))
    for (let n = 0; n < 100; n += 1) a.transport.send([{ to: b.id, message: readIndex(n) }])
    await eventually(() => numbers().length >= 100, 'all hundred messages')
    assert.deepEqual(
      numbers(),
      Array.from({ length: 100 }, (_, n) => n),
    )
  })

  contract('it hears that a member is gone', async ({ a, b, stopB }, heard) => {
    await heard.delivered(a, b, append(1))
    await stopB()
    await eventually(() => {
      a.transport.send([{ to: b.id, message: readIndex(1) }])
      return heard.unreachableAt(a).includes(b.id)
    }, 'a hears that b is unreachable')
  })
}

function admissionRules(contract: Contract): void {
  contract('nothing is delivered from one who is not a member', async ({ a, b, outsider }, heard) => {
    await heard.delivered(a, b, append(1))
    outsider.transport.send([{ to: a.id, message: append(99) }])
    await meanwhile()
    outsider.transport.send([{ to: a.id, message: append(99) }])
    await meanwhile()
    assert.deepEqual(
      heard.at(a).filter(({ message }) => message.term === 99),
      [],
    )
    assert.deepEqual(
      heard.at(a).filter(({ from }) => from === outsider.id),
      [],
    )
  })

  contract('a member is heard from the moment it is one', async ({ a, outsider, outsiderMembership }, heard) => {
    a.transport.setMembership(outsiderMembership)
    await heard.delivered(outsider, a, append(3))
  })

  contract('one who is a member no more is not heard any more', async ({ a, b, membership }, heard) => {
    await heard.delivered(b, a, append(1))
    a.transport.setMembership({ members: membership.members.filter((member) => member.id !== b.id) })
    b.transport.send([{ to: a.id, message: append(99) }])
    await meanwhile()
    b.transport.send([{ to: a.id, message: append(99) }])
    await meanwhile()
    assert.deepEqual(
      heard.at(a).filter(({ message }) => message.term === 99),
      [],
    )
  })
}

/** Everything that the three nodes hear. */
class Heard {
  readonly #messages = new Map<NodeId, { readonly from: NodeId; readonly message: Message }[]>()
  readonly #unreachable = new Map<NodeId, NodeId[]>()

  constructor(world: TransportUnderTest) {
    for (const { id, transport } of [world.a, world.b, world.outsider]) {
      this.#messages.set(id, [])
      this.#unreachable.set(id, [])
      transport.listen({
        message: (from, message) => this.#messages.get(id)?.push({ from, message }),
        unreachable: (other) => this.#unreachable.get(id)?.push(other),
        removed: () => {},
        rolledBack: () => {},
      })
      transport.setMembership(id === world.outsider.id ? world.outsiderMembership : world.membership)
    }
  }

  at(node: TransportNode): readonly { readonly from: NodeId; readonly message: Message }[] {
    return this.#messages.get(node.id) ?? []
  }

  unreachableAt(node: TransportNode): readonly NodeId[] {
    return this.#unreachable.get(node.id) ?? []
  }

  /** A transport may lose messages, above all while it connects: the sender repeats itself, as Raft does, so a message may also come twice. */
  async delivered(from: TransportNode, to: TransportNode, message: Message): Promise<void> {
    const before = this.at(to).length
    const expected = plain(message)
    let attempts = 0
    await eventually(() => {
      if (attempts % 50 === 0) from.transport.send([{ to: to.id, message }])
      attempts += 1
      return this.at(to)
        .slice(before)
        .some((heard) => heard.from === from.id && isDeepStrictEqual(plain(heard.message), expected))
    }, `${message.kind} arrives unchanged from ${from.id} at ${to.id}`)
  }
}

// Buffers and typed arrays with the same bytes are the same here.
function plain(message: Message | undefined): unknown {
  if (message?.kind !== 'append') return message
  const entries = message.entries.map((entry) => ({
    ...entry,
    payload: Buffer.from(entry.payload).toString('hex'),
    bytes: Buffer.from(entry.bytes).toString('hex'),
  }))
  return { ...message, entries }
}

function append(term: number, payload = new Uint8Array([1, 2, 3])): Message {
  const entries = [
    makeEntry({ index: 8, term, kind: 'command', payload }),
    makeEntry({ index: 9, term, kind: 'noop', payload: new Uint8Array() }),
  ]
  return {
    kind: 'append',
    term,
    prevLogIndex: 7,
    prevLogTerm: term,
    leaderCommit: 2 ** 33,
    readSequence: 2 ** 40,
    appendNumber: 2 ** 41,
    entries,
  }
}

function readIndex(id: number): Message {
  return { kind: 'read-index', term: 1, id, afterLoss: false }
}

const everyKind: readonly Message[] = [
  { kind: 'pre-vote', term: 2 ** 45, lastLogIndex: 2 ** 34, lastLogTerm: 3 },
  { kind: 'pre-vote-reply', term: 4, granted: true },
  { kind: 'pre-vote-reply', term: 4, granted: false },
  { kind: 'vote', term: 5, lastLogIndex: 6, lastLogTerm: 4, transfer: true },
  { kind: 'vote', term: 5, lastLogIndex: 6, lastLogTerm: 4, transfer: false },
  { kind: 'vote-reply', term: 5, granted: true },
  { kind: 'append', term: 5, prevLogIndex: 0, prevLogTerm: 0, leaderCommit: 0, readSequence: 0, appendNumber: 1, entries: [] },
  {
    kind: 'append-reply',
    term: 5,
    accepted: true,
    matchIndex: 2 ** 50,
    hintIndex: 0,
    hintTerm: 0,
    readSequence: 9,
    appendNumber: 12,
    trusted: true,
  },
  {
    kind: 'append-reply',
    term: 5,
    accepted: false,
    matchIndex: 9,
    hintIndex: 4,
    hintTerm: 2,
    readSequence: 9,
    appendNumber: 12,
    trusted: true,
  },
  { kind: 'read-index', term: 5, id: 2 ** 51, afterLoss: false },
  { kind: 'install-snapshot', term: 5, baseIndex: 2 ** 34, baseTerm: 4, readSequence: 9, appendNumber: 13 },
  { kind: 'distrust', term: 5, acknowledgedIndex: 2 ** 33 },
  { kind: 'read-index-reply', term: 5, id: 2 ** 51, index: 77, refused: false },
  { kind: 'read-index-reply', term: 5, id: 1, index: 0, refused: true },
  { kind: 'timeout-now', term: 5 },
]
