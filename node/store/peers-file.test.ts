import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeEntry } from '../raft/entry.ts'
import { encodeMembership } from '../raft/membership-codec.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import { eventually } from '../replica/eventually.ts'
import { openStore, type Store, type StoreProblem } from './open-store.ts'

const before: Membership = {
  members: ['n1', 'n2', 'n3'].map((id) => ({
    id: id as NodeId,
    incarnation: `${id}-i`,
    raftAddress: `${id}:1`,
    apiUrl: `https://${id}:2`,
    suffrage: 'voter',
  })),
}

interface Peer {
  readonly id: string
  readonly address: string
  readonly non_voter?: boolean
}

const survivors: readonly Peer[] = [
  { id: 'n2', address: 'elsewhere:7', non_voter: true },
  { id: 'n1', address: 'n1:1', non_voter: false },
]

class Place {
  readonly directory = mkdtempSync(join(tmpdir(), 'peers-file-'))

  pathOf(id: string): string {
    return join(this.directory, id)
  }

  peersOf(id: string): string {
    return join(this.pathOf(id), 'raft', 'peers.json')
  }

  async tryOpen(id: string): Promise<Store | StoreProblem> {
    const opened = await openStore({
      dataDir: this.pathOf(id),
      nodeId: id as NodeId,
      onFatal: (problem) => assert.fail(problem.message),
      logger: { info: () => {}, warn: () => {}, error: () => {} },
    })
    return opened.ok ? opened.value : opened.problem
  }

  async open(id: string): Promise<Store> {
    const store = await this.tryOpen(id)
    assert('log' in store, 'code' in store ? store.message : '')
    return store
  }

  /** A member of the cluster of three that has applied its first entry, stopped. */
  async makeMember(id: string): Promise<void> {
    const store = await this.open(id)
    await store.identity.adopt({ clusterId: 'c1', members: before, origin: 'formed' })
    const first = makeEntry({ index: 1, term: 4, kind: 'membership', payload: encodeMembership(before) })
    let isDurable = false
    store.log.onDurable(() => (isDurable = true))
    store.log.append({ sequence: 1, hardState: { term: 4, votedFor: id as NodeId }, entries: [first] })
    await eventually(() => isDurable, 'the entry is durable')
    store.stateMachine.apply([first])
    await eventually(() => store.stateMachine.appliedIndex === 1, 'it is applied')
    await store.close()
  }

  /** `who` has another API address now, as `id` has applied it. */
  async move(who: string, id: string): Promise<void> {
    const store = await this.open(id)
    const members = before.members.map((member) => (member.id === who ? { ...member, apiUrl: 'https://moved:2' } : member))
    const entry = makeEntry({ index: 2, term: 4, kind: 'membership', payload: encodeMembership({ members }) })
    let isDurable = false
    store.log.onDurable(() => (isDurable = true))
    store.log.append({ sequence: 1, hardState: undefined, entries: [entry] })
    await eventually(() => isDurable, 'the entry is durable')
    store.stateMachine.apply([entry])
    await eventually(() => store.stateMachine.appliedIndex === 2, 'it is applied')
    await store.close()
  }

  async refused(id: string, text: string): Promise<string> {
    writeFileSync(this.peersOf(id), text)
    const problem = await this.tryOpen(id)
    assert('code' in problem, 'the store opened')
    return problem.code
  }
}

function withPlace(title: string, body: (place: Place) => Promise<void>): void {
  test(title, async () => {
    const place = new Place()
    try {
      await body(place)
    } finally {
      rmSync(place.directory, { recursive: true })
    }
  })
}

interface Recovered {
  readonly clusterId: string | undefined
  readonly membership: Membership | undefined
}

function stateOf({ identity, stateMachine }: Store): Recovered {
  assert.deepEqual(identity.cluster?.members, stateMachine.membership)
  return { clusterId: identity.cluster?.clusterId, membership: stateMachine.membership }
}

withPlace(
  'survivors with the same peers.json agree on new members, a new epoch and a new cluster; log and vote stay; it happens once',
  async (place) => {
    const seen: Recovered[] = []
    for (const id of ['n1', 'n2']) {
      await place.makeMember(id)
      writeFileSync(place.peersOf(id), JSON.stringify(survivors))
      const store = await place.open(id)
      assert.deepEqual(store.log.hardState, { term: 4, votedFor: id })
      assert.equal(store.log.reader.lastIndex(), 1)
      seen.push(stateOf(store))
      await store.close()
      assert.equal(existsSync(place.peersOf(id)), false)
      assert.equal(existsSync(join(place.pathOf(id), 'raft', 'peers.info')), true)
      const again = await place.open(id)
      assert.deepEqual(stateOf(again), seen.at(-1), 'a later start changes nothing')
      await again.close()
    }
    assert.deepEqual(seen[0], seen[1])
    assert.match(seen[0]?.clusterId ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
    const [n1, n2] = before.members
    assert(n1 !== undefined && n2 !== undefined)
    assert.deepEqual(seen[0]?.membership, { members: [n1, { ...n2, raftAddress: 'elsewhere:7', suffrage: 'non-voter' }], epoch: 1 })
  },
)

withPlace('survivors with different files can never meet again', async (place) => {
  const ids: unknown[] = []
  for (const [id, peers] of [
    ['n1', survivors.slice(1)],
    ['n2', [{ id: 'n2', address: 'n2:1' }]],
  ] as const) {
    await place.makeMember(id)
    writeFileSync(place.peersOf(id), JSON.stringify(peers))
    const store = await place.open(id)
    ids.push(store.identity.cluster?.clusterId)
    await store.close()
  }
  assert.equal(new Set([...ids, 'c1']).size, 3)
})

withPlace('survivors meet even when one has not applied yet that an API has moved, which the file does not say', async (place) => {
  const ids: unknown[] = []
  for (const id of ['n1', 'n2']) {
    await place.makeMember(id)
    if (id === 'n2') await place.move('n1', id)
    writeFileSync(place.peersOf(id), JSON.stringify(survivors))
    const store = await place.open(id)
    ids.push(store.identity.cluster?.clusterId)
    await store.close()
  }
  assert.equal(ids[0], ids[1])
})

withPlace('a file that cannot be meant is refused, and nothing changes', async (place) => {
  await place.makeMember('n1')
  const n1 = { id: 'n1', address: 'n1:1' }
  const cases: readonly (readonly [string, string])[] = [
    ['{', 'peers_file_invalid'],
    ['[]', 'peers_file_invalid'],
    ['{"id":"n1"}', 'peers_file_invalid'],
    [JSON.stringify([{ ...n1, extra: 1 }]), 'peers_file_invalid'],
    [JSON.stringify([{ id: 'n1' }]), 'peers_file_invalid'],
    [JSON.stringify([{ ...n1, address: 'no port' }]), 'peers_file_invalid'],
    [JSON.stringify([{ ...n1, non_voter: true }]), 'peers_file_invalid'],
    [JSON.stringify([n1, n1]), 'peers_file_invalid'],
    [JSON.stringify([n1, { id: 'n2', address: 'n1:1' }]), 'peers_file_invalid'],
    [JSON.stringify([{ id: 'n2', address: 'n2:1' }]), 'peers_file_invalid'],
    [JSON.stringify([n1, { id: 'n9', address: 'n9:1' }]), 'peers_file_unknown_member'],
  ]
  for (const [text, code] of cases) assert.equal(await place.refused('n1', text), code, text)
  rmSync(place.peersOf('n1'))
  const store = await place.open('n1')
  assert.deepEqual(stateOf(store), { clusterId: 'c1', membership: before })
  await store.close()
})

withPlace('a node that was never a member refuses it', async (place) => {
  await (await place.open('n1')).close()
  assert.equal(await place.refused('n1', JSON.stringify(survivors)), 'peers_file_without_cluster')
})

withPlace(
  'killed after it was carried out but before the file was renamed, the epoch moves once; the same file on another day moves it again',
  async (place) => {
    await place.makeMember('n1')
    const [, alone] = survivors
    const text = JSON.stringify([alone])
    writeFileSync(place.peersOf('n1'), text)
    const old = join(place.directory, 'old-database')
    cpSync(place.pathOf('n1'), old, { recursive: true })
    await (await place.open('n1')).close()
    // The identity was written; the database has lost the transaction that followed it, the file lies there still.
    for (const name of ['db.sqlite', 'db.sqlite-wal', 'db.sqlite-shm']) {
      rmSync(join(place.pathOf('n1'), name), { force: true })
      if (existsSync(join(old, name))) cpSync(join(old, name), join(place.pathOf('n1'), name))
    }
    const identity = join(place.pathOf('n1'), 'identity.json')
    renameSync(join(place.pathOf('n1'), 'raft', 'peers.info'), place.peersOf('n1'))
    const recoveredBy = createHash('sha256').update(text).digest('hex')
    writeFileSync(identity, JSON.stringify({ ...(JSON.parse(readFileSync(identity, 'utf8')) as object), recoveredBy }))
    const again = await place.open('n1')
    const first = stateOf(again)
    assert.equal(first.membership?.epoch, 1)
    await again.close()
    assert.equal((JSON.parse(readFileSync(identity, 'utf8')) as { recoveredBy: unknown }).recoveredBy, null)
    writeFileSync(place.peersOf('n1'), text)
    const later = await place.open('n1')
    assert.equal(stateOf(later).membership?.epoch, 2)
    assert.notEqual(stateOf(later).clusterId, first.clusterId)
    await later.close()
  },
)

withPlace('an only voter with a damaged log goes on from its database when the operator says so, and is trusted', async (place) => {
  await place.makeMember('n1')
  const segment = join(place.pathOf('n1'), 'raft', '0000000001.segment')
  const bytes = readFileSync(segment)
  bytes[200]! ^= 1
  writeFileSync(segment, bytes)
  writeFileSync(place.peersOf('n1'), JSON.stringify(survivors.slice(1)))
  const store = await place.open('n1')
  assert.deepEqual({ ...store.log.reader.base }, { index: 1, term: 4 })
  assert.deepEqual([store.trust.trust, store.log.hardState.term], ['trusted', 4])
  await store.close()
  await (await place.open('n1')).close()
})
