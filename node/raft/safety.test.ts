// Whole clusters in bad weather, many seeds: whatever happens, the invariants of virtual-invariants.ts hold, and when it ends the cluster works again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from './membership.ts'
import { calm, electionTicks, tickMs, VirtualCluster, type Weather } from './virtual-cluster.ts'
import { virtualMember } from './virtual-node.ts'

const seeds = 40
const stormMs = 3_000
const electionMs = electionTicks * tickMs

const keys = ['compactions', 'installs', 'resets', 'statesLost', 'putBack'] as const

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

interface Storm {
  readonly title: string
  readonly voters: readonly string[]
  readonly joins?: true
  readonly removals?: true
  /** Logs are compacted to a few entries, so that whoever was away needs a snapshot. */
  readonly snapshots?: true
  /** State machines are found to be wrong, one at a time. */
  readonly statesLost?: true
  /** Disks are put back in time, one at a time: of what a majority holds, one copy is lost. */
  readonly rollbacks?: true
}

function liveThroughStorm(cluster: VirtualCluster, kind: Storm): void {
  cluster.weather = { ...storm, lostPercent: cluster.random(15), networkMsMax: 1 + cluster.random(40) }
  let written = 0
  for (let elapsedMs = 0; elapsedMs < stormMs; elapsedMs += 5) {
    cluster.run(5)
    if (cluster.random(16) === 0) misfortune(cluster)
    for (const id of cluster.ids) {
      if (cluster.random(3) === 0) cluster.propose(id, `w${(written += 1)}`)
      if (cluster.random(3) === 0) cluster.read(id)
    }
    if (kind.joins && cluster.random(40) === 0) join(cluster)
    if (kind.removals && cluster.random(60) === 0) remove(cluster)
    if (kind.snapshots && cluster.random(8) === 0) cluster.compact(oneOf(cluster, cluster.ids), cluster.random(12))
    if (kind.statesLost && cluster.random(200) === 0) cluster.loseState(oneOf(cluster, cluster.ids))
    if (kind.rollbacks && cluster.random(60) === 0) cluster.backUp(oneOf(cluster, cluster.ids))
    if (kind.rollbacks && cluster.random(60) === 0) cluster.putBack(oneOf(cluster, cluster.ids))
  }
}

function remove(cluster: VirtualCluster): void {
  const gone = oneOf(cluster, cluster.ids)
  for (const id of cluster.ids) cluster.changeMembership(id, { kind: 'remove', id: gone })
}

function join(cluster: VirtualCluster): void {
  const name = oneOf(cluster, ['n6', 'n7', 'n8'])
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

const storms: readonly Storm[] = [
  { title: 'three voters', voters: ['n1', 'n2', 'n3'] },
  { title: 'five voters', voters: ['n1', 'n2', 'n3', 'n4', 'n5'] },
  { title: 'three voters and nodes that join', voters: ['n1', 'n2', 'n3'], joins: true },
  { title: 'three voters and snapshots', voters: ['n1', 'n2', 'n3'], snapshots: true, statesLost: true },
  { title: 'nodes that come and go, and snapshots', voters: ['n1', 'n2', 'n3'], joins: true, removals: true, snapshots: true },
  { title: 'three voters whose disks are put back in time', voters: ['n1', 'n2', 'n3'], snapshots: true, rollbacks: true },
  { title: 'five voters whose disks are put back in time', voters: ['n1', 'n2', 'n3', 'n4', 'n5'], rollbacks: true },
]

for (const kind of storms) {
  test(`${kind.title} in a storm: no two leaders in a term, no acknowledged write lost, no stale read, and service afterwards (${seeds} seeds)`, () => {
    const seen = { acknowledged: 0, reads: 0, terms: 0, joined: 0, removed: 0, trusted: 0 }
    const counts = { compactions: 0, installs: 0, resets: 0, statesLost: 0, putBack: 0 }
    for (let seed = 1; seed <= seeds; seed += 1) {
      const cluster = new VirtualCluster({ seed, voters: kind.voters })
      try {
        liveThroughStorm(cluster, kind)
        recover(cluster)
        cluster.invariants.settled(cluster.node(cluster.leader!).raft.status().membership)
      } catch (error) {
        throw new Error(`seed ${seed} at ${cluster.nowMs} ms`, { cause: error })
      }
      const { members } = cluster.node(cluster.leader!).raft.status().membership
      seen.acknowledged += cluster.invariants.acknowledgedCount
      seen.reads += cluster.readsDone
      seen.terms += cluster.events.filter(({ event }) => event.kind === 'became-leader').length
      seen.trusted += cluster.events.filter(({ event }) => event.kind === 'trust-changed' && event.trust === 'trusted').length
      seen.joined += members.filter(({ id, suffrage }) => suffrage === 'voter' && !kind.voters.includes(id)).length
      seen.removed += kind.voters.filter((name) => members.every(({ id }) => id !== name)).length
      for (const name of keys) counts[name] += cluster.counts[name]
    }
    // Were the storm so bad that nothing happened, nothing would have been shown.
    const sometimes: readonly [boolean | undefined, number, number][] = [
      [true, seen.acknowledged, 20],
      [true, seen.reads, 20],
      [true, seen.terms, 2],
      [kind.joins, seen.joined, 0.5],
      [kind.removals, seen.removed, 0.5],
      [kind.snapshots, counts.installs, 1],
      [kind.snapshots, counts.resets, 0.5],
      [kind.statesLost, counts.statesLost, 0.2],
      [kind.rollbacks, counts.putBack, 0.5],
      [kind.rollbacks, seen.trusted, 0.5],
    ]
    for (const [isTried, count, perSeed] of sometimes)
      assert(isTried !== true || count > seeds * perSeed, JSON.stringify({ ...seen, ...counts }))
  })
}
