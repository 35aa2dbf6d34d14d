import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from '../raft/membership.ts'
import { MemorySnapshotSource } from './memory-snapshot-source.ts'
import { MemoryNetwork } from './memory-transport.ts'
import { snapshotSourceContract } from './snapshot-source-contract.ts'
import type { SnapshotStore } from './snapshot-store.ts'
import { systemClock } from './system-clock.ts'

const [n1, n2] = ['n1', 'n2'] as [NodeId, NodeId]

function make(snapshots: SnapshotStore) {
  const network = new MemoryNetwork(systemClock)
  const stores = new Map([[n1, snapshots]])
  const source = new MemorySnapshotSource({ id: n2, network, clock: systemClock, storeOf: (id) => stores.get(id) })
  return Promise.resolve({
    source,
    network,
    server: n1,
    stopServer: () => Promise.resolve(void stores.delete(n1)),
    dispose: () => Promise.resolve(),
  })
}

snapshotSourceContract('the snapshot source in memory', make)

test('a partition is felt as a lost connection', async () => {
  const store = { take: () => Promise.resolve({ ok: false, problem: 'snapshot_unavailable' }) } as unknown as SnapshotStore
  const { source, network } = await make(store)
  assert.deepEqual(await source.manifest(n1, { indexMin: 1 }), { ok: false, problem: 'snapshot_unavailable' })
  network.cut(n1, n2)
  assert.deepEqual(await source.manifest(n1, { indexMin: 1 }), { ok: false, problem: 'unreachable' })
  network.heal()
  source.fault = () => 'snapshot_gone'
  assert.equal((await source.manifest(n1, { indexMin: 1 })).ok, false)
})
