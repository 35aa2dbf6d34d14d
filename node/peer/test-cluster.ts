// For tests: whole nodes with real sockets and real TLS between them, their logs and state machines in memory. A "disk" outlives the node that used it.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { eventually } from '../replica/eventually.ts'
import { MemoryDisk, MemoryLogStore } from '../replica/memory-log-store.ts'
import { MemorySnapshotStore, MemoryStaging, mendInstall } from '../replica/memory-snapshot-store.ts'
import { MemoryDatabase, MemoryStateMachine } from '../replica/memory-state-machine.ts'
import { MemoryTrustStore } from '../replica/memory-trust-store.ts'
import { ReplicaLoop } from '../replica/replica.ts'
import { systemClock } from '../replica/system-clock.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import { firstEntry } from './first-entry.ts'
import { MemoryIdentity, startTestNode, type TestNode, type TestNodeChanges } from './test-peers.ts'

const limits = {
  appendBytesMax: 1_048_576,
  inflightMessagesMax: 16,
  inflightBytesMax: 8_388_608,
  uncommittedBytesMax: 8_388_608,
  commitNewsTicks: 0,
}

/** What survives a restart. */
export class DataDirectory {
  readonly identity: MemoryIdentity
  readonly disk = new MemoryDisk()
  readonly database = new MemoryDatabase()
  readonly staging = new MemoryStaging()
  readonly trust = new MemoryTrustStore()

  constructor(id: string) {
    this.identity = new MemoryIdentity(id)
  }
}

export interface ClusterNode extends TestNode {
  readonly data: DataDirectory
  replica(): ReplicaLoop
  commands(): readonly string[]
  /** Forms or joins and starts the replica; rejects when that is refused, with the code as the message. */
  start(): Promise<ClusterIdentity>
}

export async function openClusterNode(t: TestContext, data: DataDirectory, changes: TestNodeChanges = {}): Promise<ClusterNode> {
  let replica: ReplicaLoop | undefined
  let snapshots: MemorySnapshotStore | undefined
  const hasLog = data.disk.entries.length > 0
  const node = await startTestNode(t, data.identity.nodeId, {
    replica: () => replica,
    snapshots: () => snapshots,
    ...changes,
    identity: data.identity,
    formation: { hasLog, ...changes.formation },
  })
  const start = async (): Promise<ClusterIdentity> => {
    const formed = await node.peers.formation()
    if (!formed.ok) throw new Error(formed.problem.code, { cause: formed.problem.message })
    if (formed.value.origin === 'formed' && data.disk.entries.length === 0) {
      data.disk.entries.push(firstEntry(formed.value.members))
      data.disk.hardState = { term: 1, votedFor: undefined }
    }
    const opened = openReplica(node, data, formed.value)
    replica = opened.replica
    snapshots = opened.snapshots
    return formed.value
  }
  const close = async (): Promise<void> => {
    await replica?.close()
    await node.close()
  }
  t.after(close)
  const running = (): ReplicaLoop => {
    assert(replica !== undefined, 'the replica has been started')
    return replica
  }
  return { ...node, data, replica: running, commands: () => data.database.commands, start, close }
}

function openReplica(
  node: TestNode,
  data: DataDirectory,
  cluster: ClusterIdentity,
): { readonly replica: ReplicaLoop; readonly snapshots: MemorySnapshotStore } {
  const { database, staging, trust } = data
  mendInstall(staging, data.disk)
  const stateMachine = new MemoryStateMachine(database, systemClock)
  const snapshots = new MemorySnapshotStore({ machine: stateMachine, image: () => database.image(), staging })
  const replica = new ReplicaLoop({
    id: data.identity.nodeId,
    log: new MemoryLogStore(data.disk, systemClock),
    stateMachine,
    snapshots,
    snapshotSource: node.peers.snapshotSource,
    trust,
    transport: node.peers.transport,
    clock: systemClock,
    bootstrap: cluster.origin === 'formed' ? cluster.members : { members: [] },
    tickMs: 50,
    electionTicks: 10,
    heartbeatTicks: 2,
    seed: Math.floor(Math.random() * 2 ** 31),
    limits,
    compaction: { everyEntries: 8_192, intervalMs: 10_000, trailingEntries: 10_240, logBytesMax: 64 * 1024 * 1024 },
    stateHashEveryEntries: 1_000,
  })
  return { replica, snapshots }
}

export async function leaderOf(nodes: readonly ClusterNode[]): Promise<ClusterNode> {
  const leads = (node: ClusterNode): boolean => node.replica().status().role === 'leader'
  await eventually(() => nodes.some(leads), 'a leader')
  const leader = nodes.find(leads)
  assert(leader !== undefined)
  return leader
}

/** Proposes at whoever leads until it is committed. */
export async function write(nodes: readonly ClusterNode[], command: string): Promise<void> {
  for (;;) {
    const leader = await leaderOf(nodes)
    const done = await leader.replica().propose(Buffer.from(command), { timeoutMs: 120_000 })
    if (done.ok) return
    assert.notEqual(done.problem.code, 'outcome_unknown')
  }
}
