// How long a cluster is without a leader when the leader's process dies and the connections to it break, as they do, or when it hands over; and that a network that is
// broken in part does not keep it without one for ever. In virtual time, over many seeds.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { electionTicks, tickMs, VirtualCluster, type Weather } from './virtual-cluster.ts'

const seeds = 200
const electionMs = electionTicks * tickMs
const weather: Weather = { lostPercent: 0, doubledPercent: 0, networkMsMax: 3, diskMsMax: 5, applyMsMax: 3 }

/** Milliseconds from the leader's end until another leads, for each seed, in ascending order. */
function gaps(options: { readonly voters: readonly string[]; readonly spreadMs: number; readonly isLoaded: boolean }): readonly number[] {
  const gapsMs = Array.from({ length: seeds }, (_, seed) => {
    const cluster = new VirtualCluster({ seed, voters: options.voters })
    cluster.weather = weather
    cluster.until(() => cluster.leader !== undefined, 20 * electionMs, 'a first leader')
    const gone = cluster.leader!
    cluster.run(2 * electionMs + cluster.random(electionMs))
    assert.equal(cluster.leader, gone)
    // Some have got the last entries, others have not.
    for (let n = 0; options.isLoaded && n < 20; n += 1) {
      cluster.propose(gone, `w${n}`)
      cluster.run(1)
    }
    const beganAtMs = cluster.nowMs
    cluster.crash(gone)
    const hearAtMs = new Map(
      cluster.ids.filter((id) => id !== gone).map((id) => [id, cluster.nowMs + cluster.random(options.spreadMs + 1)]),
    )
    const isLed = (): boolean => {
      for (const [id, atMs] of hearAtMs) if (atMs === cluster.nowMs) cluster.hearReset(id, gone)
      return cluster.leader !== undefined
    }
    cluster.until(isLed, 20 * electionMs, `seed ${seed}: a new leader`)
    return cluster.nowMs - beganAtMs
  })
  return gapsMs.sort((a, b) => a - b)
}

for (const voters of [
  ['n1', 'n2', 'n3'],
  ['n1', 'n2', 'n3', 'n4', 'n5'],
]) {
  for (const spreadMs of [0, 5, 40]) {
    for (const isLoaded of [false, true]) {
      test(`${voters.length} voters, reset within ${spreadMs} ms${isLoaded ? ', in the midst of writes' : ''}: a new leader long before a timeout`, (t) => {
        const sorted = gaps({ voters, spreadMs, isLoaded })
        const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))]!
        t.diagnostic(
          `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, at most ${at(1)} ms; an election timeout is ${electionMs} to ${2 * electionMs} ms`,
        )
        assert(at(0.95) < spreadMs + electionMs / 2)
        // Of three, the two that are left cannot split the vote.
        assert(voters.length > 3 || at(1) < electionMs)
      })
    }
  }
}

test('a planned transfer under load: another leads after a few round trips and two writes to disk', (t) => {
  const gapsMs = Array.from({ length: seeds }, (_, seed) => {
    const cluster = new VirtualCluster({ seed, voters: ['n1', 'n2', 'n3'] })
    cluster.weather = weather
    cluster.until(() => cluster.leader !== undefined, 20 * electionMs, 'a first leader')
    const before = cluster.leader!
    for (let n = 0; n < 50; n += 1) {
      cluster.propose(before, `w${n}`)
      cluster.run(1)
    }
    const beganAtMs = cluster.nowMs
    cluster.transfer(before, undefined)
    const isLed = (): boolean => cluster.leader !== undefined && cluster.leader !== before
    cluster.until(isLed, 20 * electionMs, `seed ${seed}: another leader`)
    return cluster.nowMs - beganAtMs
  }).sort((a, b) => a - b)
  const atMostMs = gapsMs.at(-1)!
  t.diagnostic(
    `p50 ${gapsMs[seeds / 2]!} ms, at most ${atMostMs} ms, with up to ${weather.networkMsMax} ms on the way and ${weather.diskMsMax} ms for the disk`,
  )
  assert(atMostMs < electionMs / 2)
})

const brokenNetworks: readonly [string, readonly (readonly [number, number])[]][] = [
  [
    'a ring',
    [
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 5],
      [5, 1],
    ],
  ],
  [
    'a star',
    [
      [1, 2],
      [1, 3],
      [1, 4],
      [1, 5],
    ],
  ],
  [
    'a majority and a chain to the rest',
    [
      [1, 2],
      [2, 3],
      [1, 3],
      [3, 4],
      [4, 5],
    ],
  ],
]

for (const [shape, links] of brokenNetworks) {
  test(`where only ${shape} of connections is left of five voters, writes go on, and terms do not run away`, () => {
    for (let seed = 0; seed < 40; seed += 1) {
      const cluster = new VirtualCluster({ seed, voters: ['n1', 'n2', 'n3', 'n4', 'n5'] })
      cluster.until(() => cluster.leader !== undefined, 20 * electionMs, 'a first leader')
      cluster.run(electionMs)
      for (const a of cluster.ids)
        for (const b of cluster.ids)
          if (a !== b && !links.some(([x, y]) => [`n${x} n${y}`, `n${y} n${x}`].includes(`${a} ${b}`))) cluster.cut(a, b)
      cluster.run(10 * electionMs)
      const before = cluster.invariants.acknowledgedCount
      const { term } = cluster.node(cluster.ids[0]!).raft.status()
      const isServed = (): boolean => {
        for (const id of cluster.ids) if (cluster.nowMs % 20 === 0) cluster.propose(id, 'w')
        return cluster.invariants.acknowledgedCount > before + 10
      }
      cluster.until(isServed, 20 * electionMs, `seed ${seed}: writes`)
      cluster.run(20 * electionMs)
      assert(cluster.node(cluster.ids[0]!).raft.status().term - term <= 2, 'a leader stays')
    }
  })
}
