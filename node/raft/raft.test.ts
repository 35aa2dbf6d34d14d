import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from './membership.ts'
import { VirtualNode, virtualLimits, virtualMembership } from './virtual-node.ts'

const ids = ['n1', 'n2', 'n3'] as NodeId[]

test('three nodes elect one leader and a command reaches all state machines', () => {
  const nodes = new Map(
    ids.map((id, position) => [
      id,
      new VirtualNode({
        id,
        membership: virtualMembership(ids),
        electionTicks: 10,
        heartbeatTicks: 2,
        seed: position + 1,
        limits: virtualLimits,
      }),
    ]),
  )
  let inFlight: { from: NodeId; parcel: { to: NodeId; message: never } }[] = []
  const run = (node: VirtualNode, inputs: Parameters<VirtualNode['step']>[0]) => {
    const output = node.step(inputs)
    inFlight.push(...output.send.map((parcel) => ({ from: node.id, parcel: parcel as never })))
    return output
  }
  const settle = () => {
    for (let round = 0; round < 50; round += 1) {
      for (const node of nodes.values()) {
        for (const sequence of node.disk.pendingSequences) {
          node.disk.sync(sequence)
          run(node, [{ kind: 'durable', sequence }])
        }
        if (node.toApply.length > 0) run(node, [node.apply(100)])
      }
      const mail = inFlight
      inFlight = []
      for (const { from, parcel } of mail) run(nodes.get(parcel.to)!, [{ kind: 'message', from, message: parcel.message }])
    }
  }
  for (let tick = 0; tick < 40; tick += 1) {
    for (const node of nodes.values()) run(node, [{ kind: 'tick' }])
    settle()
  }
  const leaders = Array.from(nodes.values()).filter((node) => node.raft.status().role === 'leader')
  assert.equal(leaders.length, 1)
  const output = run(leaders[0]!, [
    { kind: 'propose', id: 1, payload: Buffer.from('x') },
    { kind: 'read', id: 2 },
  ])
  assert.equal(output.proposed.length, 1)
  settle()
  for (const node of nodes.values()) assert.equal(Buffer.from(node.applied.at(-1)!.payload).toString(), 'x')
})
