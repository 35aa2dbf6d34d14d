// Coming and going of members, over real sockets, with real replicas: read replicas, removed members that come back, members that leave by themselves.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Member, NodeId } from '../raft/membership.ts'
import { eventually } from '../replica/eventually.ts'
import type { JoinAuthorizer } from './join-authorizer.ts'
import { DataDirectory, leaderOf, openClusterNode, write, type ClusterNode } from './test-cluster.ts'
import { dialAs, type TestNodeChanges } from './test-peers.ts'

async function single(t: TestContext, changes: TestNodeChanges = {}): Promise<ClusterNode> {
  const node = await openClusterNode(t, new DataDirectory('n1'), changes)
  await node.start()
  await leaderOf([node])
  return node
}

function open(t: TestContext, data: DataDirectory, to: ClusterNode, formation: TestNodeChanges['formation'] = {}): Promise<ClusterNode> {
  return openClusterNode(t, data, { formation: { join: [to.peers.self.raftAddress], ...formation } })
}

async function joined(t: TestContext, id: string, to: ClusterNode, formation: TestNodeChanges['formation'] = {}): Promise<ClusterNode> {
  const node = await open(t, new DataDirectory(id), to, formation)
  await node.start()
  return node
}

function memberIn(node: ClusterNode, id: string): Member | undefined {
  return node
    .replica()
    .status()
    .membership.members.find((member) => member.id === id)
}

async function isVoter(leader: ClusterNode, id: string): Promise<void> {
  await eventually(() => memberIn(leader, id)?.suffrage === 'voter', `${id} votes`)
}

async function remove(leader: ClusterNode, id: string): Promise<void> {
  const changed = await leader.replica().changeMembership({ kind: 'remove', id: id as NodeId }, { timeoutMs: 120_000 })
  assert(changed.ok)
  await eventually(() => memberIn(leader, id) === undefined, `${id} is removed`)
}

test('a node joins as a read replica with a permission of its own, gets the log, and never votes', async (t) => {
  const asked: string[] = []
  const authorizer: JoinAuthorizer = {
    authorize: (_given, permission) => Promise.resolve(asked.push(permission) > 0 && permission === 'join-read-only'),
  }
  const first = await single(t, { authorizer })
  const reader = await joined(t, 'n2', first, { as: 'read-only' })
  await write([first], 'one')
  await eventually(() => reader.commands().join() === 'one', 'it has the log')
  assert.equal(memberIn(first, 'n2')?.suffrage, 'non-voter')
  assert.deepEqual(asked, ['join-read-only'])
  const voter = await open(t, new DataDirectory('n3'), first)
  await assert.rejects(voter.start(), /join_denied/)
})

test('a read replica that has nobody to join forms no cluster', async (t) => {
  const node = await openClusterNode(t, new DataDirectory('n1'), { formation: { as: 'read-only' } })
  await assert.rejects(node.start(), /read_only_alone/)
  assert.equal(node.identity.cluster, undefined)
})

test('a read replica that comes back at another address stays one', async (t) => {
  const first = await single(t)
  const data = new DataDirectory('n2')
  const reader = await open(t, data, first, { as: 'read-only' })
  await reader.start()
  await eventually(() => memberIn(reader, 'n2') !== undefined, 'it knows itself')
  await reader.close()
  const moved = await openClusterNode(t, data, {})
  await moved.start()
  await eventually(() => memberIn(first, 'n2')?.raftAddress === moved.peers.self.raftAddress, 'the cluster knows the new address')
  assert.equal(memberIn(first, 'n2')?.suffrage, 'non-voter')
})

test('joining again changes nothing, and a member is not made a voter or a reader by asking', async (t) => {
  const first = await single(t)
  const data = new DataDirectory('n2')
  await (await open(t, data, first)).start()
  await isVoter(first, 'n2')
  const before = first.replica().status().membership
  for (const [as, refusal] of [
    ['voter', undefined],
    ['read-only', /suffrage_differs/],
  ] as const) {
    // The same node, before it has adopted anything: its first answer was lost.
    const { incarnation } = data.identity
    const again = new DataDirectory('n2')
    Object.assign(again.identity, { incarnation })
    const { raftAddress, apiUrl } = memberIn(first, 'n2')!
    const node = await openClusterNode(t, again, {
      addresses: { bind: { host: '127.0.0.1', port: 0 }, raftAddress, apiUrl },
      formation: { join: [first.peers.self.raftAddress], as },
    })
    if (refusal === undefined) await node.peers.formation()
    else await assert.rejects(node.start(), refusal)
    await node.close()
  }
  assert.deepEqual(first.replica().status().membership, before)
})

test('a removed member does not come back with its old data, and does with new', async (t) => {
  const first = await single(t)
  const data = new DataDirectory('n2')
  const second = await open(t, data, first)
  await second.start()
  await isVoter(first, 'n2')
  await remove(first, 'n2')
  await second.close()
  const old = new DataDirectory('n2')
  Object.assign(old.identity, { incarnation: data.identity.incarnation })
  await assert.rejects((await open(t, old, first)).start(), /removed_member/)
  const again = await joined(t, 'n2', first)
  await write([first], 'one')
  await eventually(() => again.commands().join() === 'one', 'it has the log')
})

test('a removed member that runs learns of it and keeps nobody from writing', async (t) => {
  const first = await single(t)
  const second = await joined(t, 'n2', first)
  await isVoter(first, 'n2')
  await remove(first, 'n2')
  const isTold = (): boolean =>
    second.events.some((event) => event.kind === 'dial-failed' && event.problem.refusal === 'removed_member') ||
    second.replica().standing() === 'removed'
  await eventually(isTold, 'it knows')
  await write([first], 'one')
})

test('a member leaves by asking the leader, and so does the leader itself', async (t) => {
  const first = await single(t)
  const others = [await joined(t, 'n2', first), await joined(t, 'n3', first)]
  for (const { data } of others) await isVoter(first, data.identity.nodeId)
  const [second, third] = others as [ClusterNode, ClusterNode]
  const nodes = [first, second, third]
  const leader = await leaderOf(nodes)
  const follower = nodes.find((node) => node !== leader)!
  await eventually(() => follower.replica().status().leader === leader.identity.nodeId, 'the follower knows the leader')
  assert((await follower.peers.leave({ timeoutMs: 120_000 })).ok)
  await eventually(() => memberIn(leader, follower.identity.nodeId) === undefined, 'it is gone')
  assert(leader.events.some((event) => event.kind === 'node-left' && event.id === follower.identity.nodeId))
  assert((await leader.peers.leave({ timeoutMs: 120_000 })).ok)
  const last = nodes.filter((node) => node !== leader && node !== follower)
  await leader.close()
  await write(last, 'one')
  assert.equal(last[0]!.replica().status().membership.members.length, 1)
})

test('nobody else can ask a member out: not a stranger, not one with a guessed incarnation', async (t) => {
  const first = await single(t)
  const second = await joined(t, 'n2', first)
  await isVoter(first, 'n2')
  const guessed = await dialAs({ identity: second.identity, incarnation: 'guessed' }, first, 'remove')
  assert.equal(guessed.ok ? 'welcome' : guessed.problem.refusal, 'wrong_incarnation')
  const stranger = new DataDirectory('n9').identity
  stranger.cluster = first.identity.cluster
  const strange = await dialAs({ identity: stranger }, first, 'remove')
  assert.equal(strange.ok ? 'welcome' : strange.problem.refusal, 'unknown_member')
  assert.equal(first.replica().status().membership.members.length, 2)
})

test('the last member cannot leave, and says why in time', async (t) => {
  const first = await single(t)
  const left = await first.peers.leave({ timeoutMs: 5_000 })
  assert(!left.ok)
  assert.match(left.problem.message, /membership_change_invalid/)
})
