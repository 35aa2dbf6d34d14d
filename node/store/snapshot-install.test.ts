import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeCommand } from '../command/command-codec.ts'
import { makeEntry, type Entry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { NodeId } from '../raft/membership.ts'
import type { SnapshotPoint } from '../raft/raft-port.ts'
import { virtualMembership } from '../raft/virtual-node.ts'
import { eventually } from '../replica/eventually.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { Died, dyingAfter } from './dying-install.ts'
import { openStore, type Store } from './open-store.ts'
import { snapshotPaths } from './snapshot-directory.ts'
import {
  beginInstall,
  endInstall,
  installFiles,
  redoInstall,
  swapDatabase,
  type InstallFiles,
  type InstallPlace,
} from './snapshot-install.ts'
import { command } from './test-machine.ts'

const members = virtualMembership(['n1'])
const silent = { info: () => {}, warn: () => {}, error: () => {} }

async function open(dataDir: string, nodeId = 'n1'): Promise<Store> {
  const opened = await openStore({ dataDir, nodeId: nodeId as NodeId, onFatal: (problem) => assert.fail(problem.message), logger: silent })
  assert(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened.value
}

function entries(to: number, term: number, word: string): readonly Entry[] {
  return Array.from({ length: to }, (_, at) =>
    at === 0
      ? makeEntry({ index: 1, term, kind: 'membership', payload: encodeMembership(members) })
      : makeEntry({
          index: at + 1,
          term,
          kind: 'command',
          payload: encodeCommand(command(['CREATE TABLE IF NOT EXISTS t (n, word)', ['INSERT INTO t VALUES (?, ?)', at + 1, word]])),
        }),
  )
}

async function fill(store: Store, list: readonly Entry[]): Promise<void> {
  let isDurable = false
  store.log.onDurable(() => (isDurable = true))
  store.log.append({ sequence: 1, hardState: { term: list[0]?.term ?? 0, votedFor: undefined }, entries: list })
  await eventually(() => isDurable, 'the entries are durable')
  store.stateMachine.apply(list)
  await eventually(() => store.stateMachine.appliedIndex === list.length, 'they are applied')
}

/** What the same disk looks like after kill -9 at this moment. */
function crashed(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true })
  cpSync(from, to, { recursive: true })
}

interface Scene {
  readonly directory: string
  /** A data directory as kill -9 leaves it: old entries in the database's write-ahead log, a received snapshot that was found sound. */
  readonly before: string
  readonly point: SnapshotPoint
  /** Fingerprints of what users see. */
  readonly old: string
  readonly replacement: string
}

/** The receiver's log holds so many entries of such a term; the snapshot stands at entry 8 of term 2. */
async function withScene(
  receiver: { readonly entries: number; readonly term: number },
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'snapshot-install-'))
  try {
    const sender = await open(join(directory, 'sender'))
    await fill(sender, entries(8, 2, 'new'))
    const taken = await sender.snapshots.take({ indexMin: 8 })
    assert(taken.ok)
    const { id, index, term, membership } = taken.value
    const dataDir = join(directory, 'receiver')
    const store = await open(dataDir)
    await fill(store, entries(receiver.entries, receiver.term, 'old').slice(0, receiver.entries))
    const before = join(directory, 'before')
    crashed(dataDir, before)
    await store.close()
    const { incoming, incomingData } = snapshotPaths(before)
    mkdirSync(incoming)
    cpSync(join(directory, 'sender', 'snapshots', `copy-${id}`, 'snapshot.sqlite'), incomingData)
    const old = fingerprintDatabase(join(dataDir, 'db.sqlite')).hash
    const replacement = fingerprintDatabase(incomingData).hash
    await sender.close()
    await body({ directory, before, point: { index, term, membership }, old, replacement })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function placeOf(dataDir: string, files: InstallFiles): InstallPlace {
  return { files, paths: snapshotPaths(dataDir), databasePath: join(dataDir, 'db.sqlite') }
}

function tolerant(body: () => void): boolean {
  try {
    body()
    return true
  } catch (error) {
    if (error instanceof Died) return false
    throw error
  }
}

/** Opens what a crash has left: old or new, whole, and the log such that the database can go on from it. Opening once more changes nothing. */
async function judge(scene: Scene, dataDir: string, where: string): Promise<'old' | 'new'> {
  const seen: string[] = []
  for (let count = 0; count < 2; count += 1) {
    const store = await open(dataDir)
    const { appliedIndex, appliedTerm } = store.stateMachine
    const { base } = store.log.reader
    assert(appliedIndex <= store.log.reader.lastIndex() && appliedIndex >= base.index, `${where}: the log fits the database`)
    assert.equal(store.log.reader.termAt(appliedIndex), appliedTerm, where)
    assert.equal(existsSync(snapshotPaths(dataDir).intent), false, where)
    await store.close()
    const print = fingerprintDatabase(join(dataDir, 'db.sqlite')).hash
    assert(print === scene.old || print === scene.replacement, `${where}: the database is neither the old nor the new one`)
    seen.push(print === scene.old ? 'old' : 'new')
    if (print === scene.replacement) assert.equal(appliedIndex, scene.point.index, where)
  }
  assert.equal(seen[0], seen[1], where)
  return seen[0] === 'old' ? 'old' : 'new'
}

for (const [title, receiver, reset] of [
  ['the log begins anew', { entries: 3, term: 1 }, true],
  ['the log is kept', { entries: 10, term: 2 }, false],
] as const) {
  test(`killed at any step of an install, a node opens with the old or the new database, whole, and a log that fits (${title})`, async () => {
    await withScene(receiver, async (scene) => {
      const outcomes: string[] = []
      let isDone = false
      for (let steps = 0; !isDone; steps += 1) {
        const dataDir = join(scene.directory, `killed-${steps}`)
        crashed(scene.before, dataDir)
        const { files } = dyingAfter(steps)
        isDone = tolerant(() => {
          beginInstall(placeOf(dataDir, files), { point: scene.point, reset })
          swapDatabase(placeOf(dataDir, files))
        })
        outcomes.push(await judge(scene, dataDir, `after ${steps} steps`))
      }
      // Before the intent is durable the old one stands, from then on the new one.
      assert.deepEqual(outcomes, outcomes.toSorted().toReversed())
      assert.deepEqual([outcomes[0], outcomes.at(-1)], ['old', 'new'])
      assert(outcomes.length > 6, `${outcomes.length} steps`)
    })
  })
}

test('killed at any step of finishing an interrupted install, a node still ends with the new database', async () => {
  await withScene({ entries: 3, term: 1 }, async (scene) => {
    const total = dyingAfter(Number.MAX_SAFE_INTEGER)
    const probe = join(scene.directory, 'probe')
    crashed(scene.before, probe)
    beginInstall(placeOf(probe, total.files), { point: scene.point, reset: true })
    const intentSteps = total.taken()
    swapDatabase(placeOf(probe, total.files))
    for (let first = intentSteps; first <= total.taken(); first += 2) {
      let isDone = false
      for (let second = 0; !isDone; second += 1) {
        const dataDir = join(scene.directory, `killed-${first}-${second}`)
        crashed(scene.before, dataDir)
        const { files } = dyingAfter(first)
        tolerant(() => {
          beginInstall(placeOf(dataDir, files), { point: scene.point, reset: true })
          swapDatabase(placeOf(dataDir, files))
        })
        isDone = tolerant(() => redoInstall(placeOf(dataDir, dyingAfter(second).files)))
        assert.equal(await judge(scene, dataDir, `killed after ${first}, then after ${second} steps`), 'new')
      }
    }
  })
})

test('a log that had to begin anew, and was killed before it did, begins anew at the next start with its term and vote', async () => {
  await withScene({ entries: 3, term: 5 }, async (scene) => {
    const place = placeOf(scene.before, installFiles)
    beginInstall(place, { point: scene.point, reset: true })
    swapDatabase(place)
    const store = await open(scene.before)
    assert.deepEqual({ ...store.log.reader.base }, { index: 8, term: 2 })
    assert.equal(store.log.reader.lastIndex(), 8)
    assert.equal(store.log.hardState.term, 5)
    await store.close()
  })
})

test('once the log fits durably, nothing is remembered: a database that is then ahead of its log was put there by someone else', async () => {
  await withScene({ entries: 3, term: 1 }, async (scene) => {
    const place = placeOf(scene.before, installFiles)
    beginInstall(place, { point: scene.point, reset: true })
    swapDatabase(place)
    endInstall(place)
    const opened = await openStore({ dataDir: scene.before, nodeId: 'n1' as NodeId, onFatal: () => {}, logger: silent })
    assert(!opened.ok && opened.problem.code === 'database_ahead_of_log')
  })
})

test('what an install leaves behind is removed at the next start', async () => {
  await withScene({ entries: 3, term: 1 }, async (scene) => {
    const place = placeOf(scene.before, installFiles)
    beginInstall(place, { point: scene.point, reset: true })
    swapDatabase(place)
    await (await open(scene.before)).close()
    assert.deepEqual(readdirSync(place.paths.directory), ['incoming'])
  })
})
