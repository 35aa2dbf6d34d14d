// What every snapshot store must do; each implementation's test file calls this.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { makeEntry, type Entry, type EntryKind } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { Membership } from '../raft/membership.ts'
import { virtualMembership } from '../raft/virtual-node.ts'
import { eventually } from './eventually.ts'
import type { LogStore } from './log-store.ts'
import type { SnapshotManifest, SnapshotStore, StagedSnapshot } from './snapshot-store.ts'
import type { StateMachine } from './state-machine.ts'

/** One node's data, opened. */
export interface SnapshotNode {
  readonly snapshots: SnapshotStore
  readonly machine: StateMachine
  readonly log: LogStore
}

interface SnapshotStoreUnderTest extends SnapshotNode {
  /** Closes everything and opens it again from what is on disk. */
  readonly reopen: () => Promise<SnapshotNode>
  /** Removes everything. */
  readonly dispose: () => Promise<void>
  /** The payload of the nth sample command; all of them succeed in any order. */
  readonly command: (n: number) => Uint8Array
  /** What the state machine holds, to be compared with what another one holds. */
  readonly contents: () => unknown
}

type Make = () => Promise<SnapshotStoreUnderTest>
type Contract = (title: string, body: (sender: SnapshotStoreUnderTest, receiver: SnapshotStoreUnderTest) => Promise<void>) => void

const chunkBytes = 1_000

/** `make` gives an empty node each time. */
export function snapshotStoreContract(name: string, make: Make): void {
  const contract: Contract = (title, body) => {
    test(`${name}: ${title}`, async () => {
      const [sender, receiver] = [await make(), await make()]
      try {
        await fill(sender, { from: 1, to: 12 })
        await body(sender, receiver)
      } finally {
        await sender.dispose()
        await receiver.dispose()
      }
    })
  }
  copyRules(contract)
  stagingRules(contract)
  refusalRules(contract)
  installRules(contract)
}

function copyRules(contract: Contract): void {
  contract('a copy is what its manifest says: index, term, membership, length and hash', async (sender) => {
    const manifest = await take(sender, 12)
    assert.deepEqual([manifest.index, manifest.term, manifest.membership], [12, 3, membership('n1', 'n2')])
    const bytes = await readAll(sender.snapshots, manifest)
    assert.equal(bytes.length, manifest.bytes)
    assert.equal(createHash('sha256').update(bytes).digest('hex'), manifest.hash)
  })

  contract('what has not been applied cannot be copied, and an empty node has nothing to copy', async (sender, receiver) => {
    assert.deepEqual(await sender.snapshots.take({ indexMin: 13 }), { ok: false, problem: 'snapshot_unavailable' })
    assert.deepEqual(await receiver.snapshots.take({ indexMin: 1 }), { ok: false, problem: 'snapshot_unavailable' })
  })

  contract('those who ask at once share one copy', async (sender) => {
    const [one, two] = await Promise.all([take(sender, 12), take(sender, 5)])
    assert.deepEqual(one, two)
  })

  contract('a copy stays what it was while entries are applied, and a newer one is made for who needs it', async (sender) => {
    const manifest = await take(sender, 12)
    await fill(sender, { from: 13, to: 20 })
    const bytes = await readAll(sender.snapshots, manifest)
    assert.equal(createHash('sha256').update(bytes).digest('hex'), manifest.hash)
    const newer = await take(sender, 20)
    assert.equal(newer.index, 20)
    assert.notEqual(newer.id, manifest.id)
  })

  contract('a read ends where the copy ends, and a copy that nobody has named is gone', async (sender) => {
    const { id, bytes } = await take(sender, 12)
    const end = await sender.snapshots.read({ id, offset: bytes - 10, length: 1_000 })
    assert(end.ok && end.value.length === 10)
    const gone = await sender.snapshots.read({ id: 'no-such-copy', offset: 0, length: 10 })
    assert.deepEqual(gone, { ok: false, problem: 'snapshot_gone' })
  })
}

function stagingRules(contract: Contract): void {
  contract('what is received in chunks becomes whole, and tells the point it stands at', async (sender, receiver) => {
    const manifest = await take(sender, 12)
    const stage = await receiver.snapshots.stage(manifest)
    assert.equal(stage.receivedBytes, 0)
    await receive(sender, stage, manifest.bytes)
    assert.equal(stage.receivedBytes, manifest.bytes)
    const finished = await stage.finish()
    assert.deepEqual(finished, { ok: true, value: { index: 12, term: 3, membership: membership('n1', 'n2') } })
    assert.equal(receiver.machine.appliedIndex, 0, 'staged is not installed')
  })

  contract('a transfer goes on where it ended, after a restart too', async (sender, receiver) => {
    const manifest = await take(sender, 12)
    await receive(sender, await receiver.snapshots.stage(manifest), 300)
    assert.equal((await receiver.snapshots.stage(manifest)).receivedBytes, 300)
    const again = await receiver.reopen()
    const stage = await again.snapshots.stage(manifest)
    assert.equal(stage.receivedBytes, 300)
    await receive(sender, stage, manifest.bytes)
    assert.equal((await stage.finish()).ok, true)
  })

  contract('a finished stage is found whole after a restart', async (sender, receiver) => {
    const manifest = await stageWhole(sender, receiver)
    const again = await receiver.reopen()
    const stage = await again.snapshots.stage(manifest)
    assert.equal(stage.receivedBytes, manifest.bytes)
    assert.equal((await stage.finish()).ok, true)
    again.snapshots.install({ index: manifest.index, term: manifest.term, membership: manifest.membership }, { reset: false })
    assert.equal(again.machine.appliedIndex, 12)
  })

  contract('another copy takes the place of what was being received', async (sender, receiver) => {
    const first = await take(sender, 12)
    await receive(sender, await receiver.snapshots.stage(first), 300)
    await fill(sender, { from: 13, to: 14 })
    const second = await take(sender, 14)
    assert.equal((await receiver.snapshots.stage(second)).receivedBytes, 0)
    assert.equal((await receiver.snapshots.stage(first)).receivedBytes, 0, 'and the first one has been given up')
  })

  contract('what is discarded begins anew', async (sender, receiver) => {
    const manifest = await take(sender, 12)
    const stage = await receiver.snapshots.stage(manifest)
    await receive(sender, stage, 300)
    await stage.discard()
    assert.equal((await receiver.snapshots.stage(manifest)).receivedBytes, 0)
  })
}

function refusalRules(contract: Contract): void {
  contract('a snapshot of which one bit differs is refused and discarded', async (sender, receiver) => {
    const manifest = await take(sender, 12)
    const bytes = await readAll(sender.snapshots, manifest)
    for (const at of [0, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const stage = await receiver.snapshots.stage(manifest)
      await stage.write(bytes.map((byte, position) => (position === at ? byte ^ 1 : byte)))
      await assertRefused(receiver, stage, manifest)
    }
  })

  contract('one that is too short, or too long, is refused', async (sender, receiver) => {
    const manifest = await take(sender, 12)
    const bytes = await readAll(sender.snapshots, manifest)
    for (const wrong of [bytes.subarray(0, bytes.length - 1), Buffer.concat([bytes, bytes.subarray(0, 1)])]) {
      const stage = await receiver.snapshots.stage(manifest)
      await stage.write(wrong)
      await assertRefused(receiver, stage, manifest)
    }
  })

  contract('one that holds another index, term or membership than its manifest says is refused', async (sender, receiver) => {
    const manifest = await take(sender, 12)
    const bytes = await readAll(sender.snapshots, manifest)
    const lies = [
      { ...manifest, id: `${manifest.id}a`, index: 13 },
      { ...manifest, id: `${manifest.id}b`, term: 4 },
      { ...manifest, id: `${manifest.id}c`, membership: membership('n1') },
    ]
    for (const lie of lies) {
      const stage = await receiver.snapshots.stage(lie)
      await stage.write(bytes)
      await assertRefused(receiver, stage, lie)
    }
  })

  contract('what is no snapshot at all is refused, though its hash is right', async (_sender, receiver) => {
    const bytes = new TextEncoder().encode('not a database, however long it goes on '.repeat(500))
    const hash = createHash('sha256').update(bytes).digest('hex')
    const manifest = { id: 'nonsense', index: 12, term: 3, membership: membership('n1', 'n2'), bytes: bytes.length, hash }
    const stage = await receiver.snapshots.stage(manifest)
    await stage.write(bytes)
    await assertRefused(receiver, stage, manifest)
  })
}

function installRules(contract: Contract): void {
  contract('installed, it is the sender’s state and goes on from there', async (sender, receiver) => {
    await install(sender, receiver, { reset: true })
    assert.deepEqual([receiver.machine.appliedIndex, receiver.machine.appliedTerm], [12, 3])
    assert.deepEqual(receiver.machine.membership, membership('n1', 'n2'))
    assert.deepEqual(receiver.contents(), sender.contents())
    await fill(sender, { from: 13, to: 15 })
    await fill(receiver, { from: 13, to: 15 })
    assert.deepEqual(receiver.contents(), sender.contents())
  })

  contract('it takes the place of what was there, and mixes with none of it', async (sender, receiver) => {
    await apply(receiver, [entry(1, 'membership', encodeMembership(membership('x')), 1)])
    await apply(
      receiver,
      [2, 3, 4].map((index) => entry(index, 'command', receiver.command(index + 100), 1)),
    )
    await receiver.machine.makeDurable()
    await install(sender, receiver, { reset: true })
    assert.deepEqual(receiver.contents(), sender.contents())
  })

  contract('once it is installed, a restart finds it', async (sender, receiver) => {
    const manifest = await install(sender, receiver, { reset: true })
    await resetLog(receiver, { index: manifest.index, term: manifest.term })
    receiver.snapshots.installed()
    const { machine, log } = await receiver.reopen()
    assert.deepEqual([machine.appliedIndex, machine.appliedTerm, machine.membership], [12, 3, membership('n1', 'n2')])
    assert.deepEqual({ ...log.reader.base }, { index: 12, term: 3 })
    assert.deepEqual(receiver.contents(), sender.contents())
  })

  contract('a restart before the log has begun anew begins it anew', async (sender, receiver) => {
    await appendLog(receiver, 20)
    await install(sender, receiver, { reset: true })
    const { machine, log } = await receiver.reopen()
    assert.equal(machine.appliedIndex, 12)
    assert.deepEqual({ ...log.reader.base }, { index: 12, term: 3 })
    assert.equal(log.reader.lastIndex(), 12)
  })

  contract('a restart after the log has begun anew keeps what was appended since', async (sender, receiver) => {
    await appendLog(receiver, 20)
    const { index, term } = await install(sender, receiver, { reset: true })
    await resetLog(receiver, { index, term }, [entry(13, 'command', receiver.command(13), 3)])
    const { machine, log } = await receiver.reopen()
    assert.equal(machine.appliedIndex, 12)
    assert.deepEqual({ ...log.reader.base }, { index: 12, term: 3 })
    assert.equal(log.reader.lastIndex(), 13)
  })

  contract('without a reset a restart leaves the log as it is', async (sender, receiver) => {
    await appendLog(receiver, 20)
    await install(sender, receiver, { reset: false })
    const { machine, log } = await receiver.reopen()
    assert.equal(machine.appliedIndex, 12)
    assert.equal(log.reader.lastIndex(), 20)
  })

  contract('what was installed can be copied for others', async (sender, receiver) => {
    await install(sender, receiver, { reset: true })
    assert.equal((await take(receiver, 12)).index, 12)
  })
}

async function assertRefused(receiver: SnapshotStoreUnderTest, stage: StagedSnapshot, manifest: SnapshotManifest): Promise<void> {
  const before = receiver.contents()
  assert.deepEqual(await stage.finish(), { ok: false, problem: 'snapshot_corrupt' })
  assert.deepEqual(receiver.contents(), before)
  assert.equal((await receiver.snapshots.stage(manifest)).receivedBytes, 0, 'it has been discarded')
}

async function take(node: SnapshotNode, indexMin: number): Promise<SnapshotManifest> {
  const taken = await node.snapshots.take({ indexMin })
  assert(taken.ok, 'a copy is to be had')
  return taken.value
}

async function readAll(snapshots: SnapshotStore, manifest: SnapshotManifest): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for (let offset = 0; offset < manifest.bytes; offset += chunkBytes) {
    const chunk = await snapshots.read({ id: manifest.id, offset, length: chunkBytes })
    assert(chunk.ok)
    chunks.push(chunk.value)
  }
  return Buffer.concat(chunks)
}

async function receive(sender: SnapshotNode, stage: StagedSnapshot, toBytes: number): Promise<void> {
  const bytes = await readAll(sender.snapshots, stage.manifest)
  for (let offset = stage.receivedBytes; offset < toBytes; offset += chunkBytes)
    await stage.write(bytes.subarray(offset, Math.min(offset + chunkBytes, toBytes)))
}

async function stageWhole(sender: SnapshotNode, receiver: SnapshotNode): Promise<SnapshotManifest> {
  const manifest = await take(sender, 12)
  const stage = await receiver.snapshots.stage(manifest)
  await receive(sender, stage, manifest.bytes)
  assert.equal((await stage.finish()).ok, true)
  return manifest
}

async function install(sender: SnapshotNode, receiver: SnapshotNode, options: { readonly reset: boolean }): Promise<SnapshotManifest> {
  const manifest = await stageWhole(sender, receiver)
  receiver.snapshots.install({ index: manifest.index, term: manifest.term, membership: manifest.membership }, options)
  return manifest
}

/** Entry 1 is a membership of two, the others are sample commands, in term 3. */
async function fill(node: SnapshotStoreUnderTest, range: { readonly from: number; readonly to: number }): Promise<void> {
  const entries = Array.from({ length: range.to - range.from + 1 }, (_, position) => {
    const index = range.from + position
    return index === 1
      ? entry(1, 'membership', encodeMembership(membership('n1', 'n2')), 3)
      : entry(index, 'command', node.command(index), 3)
  })
  await apply(node, entries)
}

async function apply(node: SnapshotNode, entries: readonly Entry[]): Promise<void> {
  node.machine.apply(entries)
  const last = entries.at(-1)?.index ?? 0
  await eventually(() => node.machine.appliedIndex === last, `entry ${last} is applied`)
}

async function appendLog(node: SnapshotNode, to: number): Promise<void> {
  const entries = Array.from({ length: to }, (_, position) => entry(position + 1, 'noop', new Uint8Array(), 3))
  let durable = 0
  node.log.onDurable((sequence) => (durable = sequence))
  node.log.append({ sequence: 1, hardState: { term: 3, votedFor: undefined }, entries })
  await eventually(() => durable === 1, 'the log is durable')
}

async function resetLog(
  node: SnapshotNode,
  base: { readonly index: number; readonly term: number },
  entries: readonly Entry[] = [],
): Promise<void> {
  let durable = 0
  node.log.onDurable((sequence) => (durable = sequence))
  node.log.append({ sequence: 2, hardState: undefined, entries, reset: base })
  await eventually(() => durable === 2, 'the log is durable')
}

function entry(index: number, kind: EntryKind, payload: Uint8Array, term: number): Entry {
  return makeEntry({ index, term, kind, payload })
}

function membership(...ids: readonly string[]): Membership {
  return virtualMembership(ids)
}
