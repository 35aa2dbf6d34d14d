// The link's own rules, on a clock of the test's: back-off, bounds, life signs.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import type { Member, NodeId } from '../raft/membership.ts'
import type { Message } from '../raft/message.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import type { FramedSocket, FramedSocketOptions } from './framed-socket.ts'
import { frameTypes } from './frame.ts'
import { MemberLink, pendingBytesMax, redialBackOff } from './member-link.ts'
import type { Answered, Dial } from './peer-dialer.ts'
import type { PeerEvent } from './peer-event.ts'

const member: Member = { id: 'b' as NodeId, incarnation: 'one', raftAddress: 'b:4002', apiUrl: 'https://b:4001', suffrage: 'voter' }
const message: Message = { kind: 'timeout-now', term: 1 }

/** A connection whose other end is the test. */
class FakeConnection {
  readonly socket = new EventEmitter()
  readonly written: { readonly type: number; readonly parts: readonly Uint8Array[] }[] = []
  pendingBytes = 0
  isClosed = false
  why: string | undefined
  #options: FramedSocketOptions | undefined

  become(options: FramedSocketOptions): void {
    this.#options = options
  }

  write(type: number, parts: readonly Uint8Array[]): void {
    this.written.push({ type, parts })
  }

  close(why: string): void {
    if (this.isClosed) return
    this.isClosed = true
    this.why = why
    this.socket.emit('close')
    this.#options?.onClose(why)
  }

  end(why: string): void {
    this.close(why)
  }

  goodbye(): void {
    this.#options?.onFrame({ type: frameTypes.goodbye, body: new Uint8Array() })
  }

  pong(): void {
    const ping = this.written.findLast(({ type }) => type === frameTypes.ping)
    this.#options?.onFrame({ type: frameTypes.pong, body: Buffer.concat(ping?.parts ?? []) })
  }

  messages(): number {
    return this.written.filter(({ type }) => type === frameTypes.message).length
  }
}

class World {
  readonly clock = new ManualClock()
  readonly dials: { readonly atMs: number; readonly address: string; readonly answer: (connection: FakeConnection | undefined) => void }[] =
    []
  readonly events: PeerEvent[] = []
  unreachable = 0
  readonly link: MemberLink

  constructor(random = () => 0.5) {
    const dial: Dial = (call) =>
      new Promise((resolve) => {
        const answer = (connection: FakeConnection | undefined): void => {
          if (connection === undefined) return resolve(fail({ code: 'unreachable', refusal: undefined, message: '' }))
          return resolve(ok({ framed: connection as unknown as FramedSocket } as Answered))
        }
        this.dials.push({ atMs: this.clock.monotonicMs(), address: call.address, answer })
      })
    const onUnreachable = (): void => void (this.unreachable += 1)
    this.link = new MemberLink(member, { dial, clock: this.clock, random, onEvent: (event) => this.events.push(event), onUnreachable })
  }

  async connected(): Promise<FakeConnection> {
    const connection = new FakeConnection()
    this.dials.at(-1)?.answer(connection)
    await settled()
    return connection
  }

  dropped(): number {
    return this.events.filter(({ kind }) => kind === 'message-dropped').length
  }
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

test('dials again with growing, jittered pauses, reports each failure, and starts small again after a connection that lived', async () => {
  const world = new World(() => 0)
  for (let n = 0; n < 8; n += 1) {
    world.dials.at(-1)?.answer(undefined)
    await settled()
    world.clock.advance(redialBackOff.maxMs)
  }
  const pauses = world.dials.slice(1).map(({ atMs }, n) => atMs - (n === 0 ? 0 : n * redialBackOff.maxMs))
  assert.deepEqual(pauses, [25, 50, 100, 200, 400, 500, 500, 500])
  assert.equal(world.unreachable, 8)
  const connection = await world.connected()
  connection.pong()
  const brokenAtMs = world.clock.monotonicMs()
  connection.close('ECONNRESET')
  world.clock.advance(redialBackOff.maxMs)
  assert.equal(world.dials.at(-1)!.atMs - brokenAtMs, 25)
})

test('hurried, it makes a long pause short, but never goes without one', async () => {
  const world = new World(() => 0)
  for (let n = 0; n < 6; n += 1) {
    world.dials.at(-1)?.answer(undefined)
    await settled()
    if (n < 5) world.clock.advance(redialBackOff.maxMs)
  }
  for (let n = 0; n < 3; n += 1) {
    world.clock.advance(10)
    world.link.hurry()
    assert.equal(world.dials.length, 6, 'and to be hurried again and again does not put it off')
  }
  world.clock.advance(5)
  assert.equal(world.dials.length, 7)
  world.link.hurry()
  const connection = await world.connected()
  world.link.hurry()
  assert.equal(connection.isClosed, false)
  assert.equal(world.dials.length, 7)
})

test('while it connects it keeps a few messages and sends them first; while the member is away it keeps none', async () => {
  const world = new World()
  for (let n = 0; n < 100; n += 1) world.link.send(message)
  assert.equal(world.dropped(), 36)
  const connection = await world.connected()
  assert.equal(connection.messages(), 64)
  connection.close('ECONNRESET')
  world.link.send(message)
  assert.equal(world.dropped(), 37)
})

test('a member that does not read gets nothing more: messages are dropped instead of stored', async () => {
  const world = new World()
  const connection = await world.connected()
  connection.pendingBytes = pendingBytesMax + 1
  world.link.send(message)
  assert.equal(world.dropped(), 1)
  assert.equal(connection.messages(), 0)
  connection.pendingBytes = 0
  world.link.send(message)
  assert.equal(connection.messages(), 1)
})

test('a member that gives no life sign is given up after some seconds; one stall of our own clock costs nothing', async () => {
  const world = new World()
  const connection = await world.connected()
  world.clock.stall(60_000)
  assert.equal(connection.isClosed, false)
  connection.pong()
  world.clock.advance(4_000)
  assert.equal(connection.isClosed, false)
  world.clock.advance(3_000)
  assert.equal(connection.why, 'silent')
  assert.equal(world.unreachable, 1)
})

test('a member that is still taking a large message is not silent', async () => {
  const world = new World()
  const connection = await world.connected()
  connection.pendingBytes = 20_000_000
  for (let n = 0; n < 15; n += 1) {
    world.clock.advance(1_000)
    connection.pendingBytes -= 1_000_000
  }
  assert.equal(connection.isClosed, false)
})

test("a new address is dialled at once and is nobody's failure; what arrives from the old dial is closed", async () => {
  const world = new World()
  const connection = await world.connected()
  world.link.update({ ...member })
  assert.equal(world.dials.length, 1)
  world.link.update({ ...member, raftAddress: 'elsewhere:4002' })
  assert.deepEqual([world.dials.at(-1)!.address, connection.why, world.unreachable], ['elsewhere:4002', 'renewed', 0])
  world.link.renew()
  const late = new FakeConnection()
  world.dials.at(-2)?.answer(late)
  await settled()
  assert.equal(late.isClosed, true)
})

test('a closed link neither dials nor reports', async () => {
  const world = new World()
  const connection = await world.connected()
  world.link.close()
  world.clock.advance(60_000)
  world.link.send(message)
  assert.deepEqual([world.dials.length, world.unreachable, connection.isClosed], [1, 0, true])
})

test('a connection that is dialled anew is left with a goodbye, one that is given up is not', async () => {
  const world = new World()
  const first = await world.connected()
  world.link.renew()
  assert.equal(first.written.at(-1)?.type, frameTypes.goodbye)
  const second = await world.connected()
  world.link.close()
  assert.notEqual(second.written.at(-1)?.type, frameTypes.goodbye)
  assert.equal(world.unreachable, 0)
})

test('one who says goodbye is dialled anew after a pause, and is not taken for dead', async () => {
  const world = new World()
  const first = await world.connected()
  first.goodbye()
  assert.equal(first.isClosed, true)
  assert.equal(world.dials.length, 1)
  world.clock.advance(redialBackOff.firstMs)
  assert.equal(world.dials.length, 2)
  assert.equal(world.unreachable, 0)
  const second = await world.connected()
  second.close('ended_by_peer')
  assert.equal(world.unreachable, 1)
})
