// How long a cluster is without a leader when the leader's process dies and the connections to it break, as they do: in virtual time, over many seeds.
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
