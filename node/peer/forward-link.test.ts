import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { ok } from '../../runtime/result.ts'
import type { ForwardedRequest } from '../api/forwarder.ts'
import type { Member, NodeId } from '../raft/membership.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import { encodeReply } from './forward-codec.ts'
import { ForwardLink } from './forward-link.ts'
import type { FramedSocket } from './framed-socket.ts'
import { frameTypes, type Frame } from './frame.ts'
import type { Answered } from './peer-dialer.ts'

const member: Member = { id: 'b' as NodeId, incarnation: 'one', raftAddress: 'b:4002', apiUrl: 'https://b:4001', suffrage: 'voter' }
const request: ForwardedRequest = {
  method: 'POST',
  path: '/db/execute',
  query: '',
  contentType: 'application/json',
  body: Buffer.from('[]'),
  identity: { kind: 'anonymous' },
  timeoutMs: 5_000,
}

interface Connection {
  readonly closedBecause: string | undefined
  /** Requests that wait for a reply. */
  readonly waiting: number[]
  readonly answer: () => void
}

/** A link whose connections are made when the test says so, and answer when it says so. */
function heldLink(): { readonly link: ForwardLink; readonly dialled: (() => Connection)[] } {
  const dialled: (() => Connection)[] = []
  const dial = (): Promise<{ readonly ok: true; readonly value: Answered }> =>
    new Promise((resolve) => {
      dialled.push(() => {
        const { connection, framed } = connectionOf()
        const welcome = { version: '1' }
        resolve(ok({ framed, welcome, usesOurCertificate: true } as unknown as Answered))
        return connection
      })
    })
  return { link: new ForwardLink(member, { dial, clock: new ManualClock(), onEvent: () => {} }), dialled }
}

function connectionOf(): { readonly connection: Connection; readonly framed: FramedSocket } {
  const waiting: number[] = []
  const socket = new EventEmitter()
  let closedBecause: string | undefined
  let handlers: { onFrame: (frame: Frame) => void; onClose: (why: string) => void } | undefined
  const framed = {
    socket,
    pendingBytes: 0,
    get isClosed() {
      return closedBecause !== undefined
    },
    become: (given: typeof handlers) => void (handlers = given),
    write: (type: number, parts: readonly Uint8Array[]) => {
      if (type === frameTypes.forwardRequest) waiting.push(Buffer.concat(parts).readUInt32BE(0))
      return true
    },
    close: (why: string) => {
      closedBecause ??= why
      socket.emit('close')
      handlers?.onClose(why)
    },
  }
  const connection = {
    waiting,
    get closedBecause() {
      return closedBecause
    },
    answer: () => {
      const parts = encodeReply(waiting.shift() ?? 0, { status: 200, headers: {}, body: Buffer.from('{}') })
      handlers?.onFrame({ type: frameTypes.forwardReply, body: Buffer.concat(parts ?? []) })
    },
  }
  return { connection, framed: framed as unknown as FramedSocket }
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

test('a membership that says the same of a member while it is dialled changes nothing: the connection serves this request and the next', async () => {
  const { link, dialled } = heldLink()
  const first = link.forward(request)
  await settle()
  link.update({ ...member })
  const connection = dialled[0]?.()
  await settle()
  connection?.answer()
  assert.equal((await first).ok, true)
  assert.equal(connection?.closedBecause, undefined)
  const second = link.forward(request)
  await settle()
  connection?.answer()
  assert.equal((await second).ok, true)
  assert.equal(dialled.length, 1)
})

test('a dial that began before the certificates changed serves who waited for it; the next request dials anew', async () => {
  const { link, dialled } = heldLink()
  const first = link.forward(request)
  await settle()
  link.renew()
  const old = dialled[0]?.()
  await settle()
  const second = link.forward(request)
  await settle()
  assert.equal(dialled.length, 2)
  const fresh = dialled[1]?.()
  await settle()
  old?.answer()
  fresh?.answer()
  assert.deepEqual([(await first).ok, (await second).ok], [true, true])
  assert.equal(old?.closedBecause, 'renewed')
  assert.equal(fresh?.closedBecause, undefined)
})

test('a dial that ends after the link was closed leaves no connection behind', async () => {
  const { link, dialled } = heldLink()
  const first = link.forward(request)
  await settle()
  link.close()
  const connection = dialled[0]?.()
  assert.equal((await first).ok, false)
  assert.equal(connection?.closedBecause, 'link_closed')
})
