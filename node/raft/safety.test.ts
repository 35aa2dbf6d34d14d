// Whole clusters in bad weather, many seeds: whatever happens, the invariants of virtual-invariants.ts hold, and when it ends the cluster works again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from './membership.ts'
import { calm, electionTicks, tickMs, VirtualCluster, type Weather } from './virtual-cluster.ts'
import { virtualMember } from './virtual-node.ts'

const seeds = 200
const stormMs = 3_000
const electionMs = electionTicks * tickMs

const storm: Weather = { lostPercent: 5, doubledPercent: 10, networkMsMax: 30, diskMsMax: 20, applyMsMax: 20 }

function oneOf<Value>(cluster: VirtualCluster, values: readonly Value[]): Value {
  return values[cluster.random(values.length)]!
}

/** One thing goes wrong, or gets better. */
function misfortune(cluster: VirtualCluster): void {
  const id = oneOf(cluster, cluster.ids)
  const other = oneOf(cluster, cluster.ids)
  switch (cluster.random(10)) {
    case 0:
    case 1:
      return cluster.crash(id)
    case 2:
    case 3:
      for (const one of cluster.ids) if (cluster.random(2) === 0) cluster.restart(one)
      return
    case 4:
      return cluster.isolate(id)
    case 5:
      return id === other ? cluster.heal() : cluster.cut(id, other)
    case 6:
      return cluster.heal()
    case 7:
      return id === other ? undefined : cluster.reset(id, other)
    case 8:
      return cluster.transfer(id, cluster.random(2) === 0 ? undefined : other)
    case 9:
      return cluster.pause(id, cluster.random(4 * electionMs))
  }
}

function liveThroughStorm(cluster: VirtualCluster, options: { readonly joins: boolean }): void {
  cluster.weather = { ...storm, lostPercent: cluster.random(15), networkMsMax: 1 + cluster.random(40) }
  let written = 0
  for (let elapsedMs = 0; elapsedMs < stormMs; elapsedMs += 5) {
    cluster.run(5)
    if (cluster.random(16) === 0) misfortune(cluster)
    for (const id of cluster.ids) {
      if (cluster.random(3) === 0) cluster.propose(id, `w${(written += 1)}`)
      if (cluster.random(3) === 0) cluster.read(id)
    }
    if (options.joins && cluster.random(40) === 0) join(cluster)
  }
}

function join(cluster: VirtualCluster): void {
  const name = oneOf(cluster, ['n6', 'n7'])
  if (!cluster.ids.includes(name as NodeId)) cluster.add(name)
  for (const id of cluster.ids) cluster.changeMembership(id, { kind: 'add-learner', member: virtualMember(name, 'learner') })
}

function recover(cluster: VirtualCluster): void {
  cluster.weather = calm
  cluster.heal()
  for (const id of cluster.ids) cluster.restart(id)
  cluster.run(4 * electionMs)
  const before = cluster.invariants.acknowledgedCount
  cluster.until(
    () => {
      const { leader } = cluster
      if (leader !== undefined && cluster.nowMs % 20 === 0) cluster.propose(leader, 'after the storm')
      return cluster.invariants.acknowledgedCount > before
    },
    20 * electionMs,
    'a write after the storm',
  )
  cluster.run(20 * electionMs)
  const members = new Set(
    cluster
      .node(cluster.leader!)
      .raft.status()
      .membership.members.map((member) => member.id),
  )
  const lagging = cluster.ids.filter(
    (id) => members.has(id) && cluster.node(id).applied.length !== cluster.node(cluster.leader!).applied.length,
  )
  assert.deepEqual(lagging, [], 'every member catches up')
}

for (const { title, voters, joins } of [
  { title: 'three voters', voters: ['n1', 'n2', 'n3'], joins: false },
  { title: 'five voters', voters: ['n1', 'n2', 'n3', 'n4', 'n5'], joins: false },
  { title: 'three voters and nodes that join', voters: ['n1', 'n2', 'n3'], joins: true },
]) {
  test(`${title} in a storm: no two leaders in a term, no acknowledged write lost, no stale read, and service afterwards (${seeds} seeds)`, () => {
    const seen = { acknowledged: 0, reads: 0, terms: 0, promotions: 0 }
    for (let seed = 1; seed <= seeds; seed += 1) {
      const cluster = new VirtualCluster({ seed, voters })
      try {
        liveThroughStorm(cluster, { joins })
        recover(cluster)
        cluster.invariants.settled(cluster.node(cluster.leader!).raft.status().membership)
      } catch (error) {
        throw new Error(`seed ${seed} at ${cluster.nowMs} ms`, { cause: error })
      }
      seen.acknowledged += cluster.invariants.acknowledgedCount
      seen.reads += cluster.readsDone
      seen.terms += cluster.events.filter(({ event }) => event.kind === 'became-leader').length
      seen.promotions +=
        cluster
          .node(cluster.leader!)
          .raft.status()
          .membership.members.filter((member) => member.suffrage === 'voter').length - voters.length
    }
    // Were the storm so bad that nothing happened, nothing would have been shown.
    assert(seen.acknowledged > seeds * 20 && seen.reads > seeds * 20 && seen.terms > seeds * 3, JSON.stringify(seen))
    assert(!joins || seen.promotions > seeds / 2, JSON.stringify(seen))
  })
}
