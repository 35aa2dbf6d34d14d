import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeCommand } from '../../command/command-codec.ts'
import { makeEntry, type Entry } from '../../raft/entry.ts'
import { Chance } from './chance.ts'
import { FuzzReplica } from './fuzz-replica.ts'

test('a replica that stops says why, and what it was given and has not applied', { timeout: 300_000 }, async () => {
  const replica = new FuzzReplica({ name: 'stops', groupMax: 1, restarts: 0, elsewhere: 'threads', hasRoom: true }, new Chance(1))
  try {
    const entries = [1, 2, 3].map(entryOf)
    // Of a newer program: a node that cannot read it must stop.
    entries[1]?.payload.set([255])
    const heard: number[] = []
    const stop = await replica.apply(entries, (group) => heard.push(...group.map(({ index }) => index)))
    assert.match(stop?.message ?? '', /^command_version_unknown: after entry 1: /)
    assert.deepEqual(
      stop?.entries.map(({ index }) => index),
      [2],
    )
    assert.deepEqual(heard, [1, 2])
  } finally {
    await replica.dispose()
  }
})

test('so does one in which something is thrown that nobody can catch', { timeout: 300_000 }, async () => {
  const replica = new FuzzReplica({ name: 'breaks', groupMax: 1, restarts: 0, elsewhere: 'nowhere', hasRoom: true }, new Chance(1))
  try {
    const stop = await replica.apply([entryOf(1)], () => replica.broke(new Error('on purpose')))
    assert.match(stop?.message ?? '', /on purpose/)
  } finally {
    await replica.dispose()
  }
})

function entryOf(index: number): Entry {
  const statements = [{ sql: `CREATE TABLE t${index} (a)`, parameters: { kind: 'positional', values: [] } as const }]
  const payload = encodeCommand({ kind: 'execute', transaction: false, proposedAtMs: 1, seed: new Uint8Array(16), statements })
  return makeEntry({ index, term: 1, kind: 'command', payload })
}
