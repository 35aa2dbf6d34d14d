// Forming and joining over real sockets and real TLS, with real replicas.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test, type TestContext } from 'node:test'
import { eventually } from '../replica/eventually.ts'
import type { JoinAuthorizer } from './join-authorizer.ts'
import type { Credentials } from './join-words.ts'
import { systemClock } from '../replica/system-clock.ts'
import { openPeers } from './open-peers.ts'
import { makeTestSelfSigned } from './test-certificates.ts'
import { DataDirectory, leaderOf, openClusterNode, write, type ClusterNode } from './test-cluster.ts'
import { mutualTls, startTestNode, testMaterial, testNodeLeaf, TestTlsSource, type TestNodeChanges } from './test-peers.ts'
import { isIP } from 'node:net'

const serverTlsOnly = (): TestNodeChanges => ({ tls: { files: new TestTlsSource(), rules: { ...mutualTls, verifyClient: false } } })

/** Free ports that were free a moment ago: founders must name each other before they listen. */
async function freeAddresses(count: number): Promise<readonly string[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const addresses: string[] = []
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const bound = server.address()
    assert(typeof bound === 'object' && bound !== null)
    addresses.push(`127.0.0.1:${bound.port}`)
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return addresses
}

function at(address: string): NonNullable<TestNodeChanges['addresses']> {
  const [host = '', port = ''] = address.split(':')
  assert.equal(isIP(host), 4)
  return { bind: { host, port: Number(port) }, raftAddress: address, apiUrl: `https://${address}/api` }
}

async function founders(t: TestContext, changes: TestNodeChanges = {}): Promise<{ nodes: ClusterNode[]; addresses: readonly string[] }> {
  const addresses = await freeAddresses(3)
  const nodes: ClusterNode[] = []
  for (const [n, address] of addresses.entries()) {
    const formation = { expect: 3, join: addresses, ...changes.formation }
    nodes.push(await openClusterNode(t, new DataDirectory(`n${n + 1}`), { ...changes, addresses: at(address), formation }))
  }
  return { nodes, addresses }
}

async function single(t: TestContext, changes: TestNodeChanges = {}): Promise<ClusterNode> {
  const node = await openClusterNode(t, new DataDirectory('n1'), changes)
  await node.start()
  await leaderOf([node])
  return node
}

test('three nodes that expect each other form one cluster and replicate', async (t) => {
  const { nodes } = await founders(t)
  const clusters = await Promise.all(nodes.map((node) => node.start()))
  assert.equal(new Set(clusters.map(({ clusterId }) => clusterId)).size, 1)
  assert.deepEqual(nodes[0]!.data.disk.entries[0]!.bytes, nodes[2]!.data.disk.entries[0]!.bytes)
  await write(nodes, 'one')
  await eventually(() => nodes.every((node) => node.commands().join() === 'one'), 'all three have it')
})

test('founders without mutual TLS need credentials that may join', async (t) => {
  const asked: (Credentials | undefined)[] = []
  const authorizer: JoinAuthorizer = {
    authorize: (credentials, permission) => {
      asked.push(credentials)
      return Promise.resolve(permission === 'join' && credentials?.password === 'secret1')
    },
  }
  const credentials = { username: 'bob', password: 'secret1' }
  const { nodes } = await founders(t, { ...serverTlsOnly(), authorizer, formation: { credentials } })
  await Promise.all(nodes.map((node) => node.start()))
  await write(nodes, 'one')
  assert(asked.length > 0)
})

test('founders that may not join each other form nothing and say so', async (t) => {
  const { nodes } = await founders(t, { ...serverTlsOnly(), formation: { expectTimeoutMs: 1_500, credentials: undefined } })
  await Promise.all(nodes.map((node) => assert.rejects(node.start(), /bootstrap_timeout/)))
  assert(nodes.every(({ identity }) => identity.cluster === undefined))
  assert(nodes.every(({ events }) => events.some((event) => event.kind === 'refused-incoming' && event.code === 'join_denied')))
})

test('a coordinator that dies before its own adoption is durable finishes the same cluster after its restart', async (t) => {
  const { nodes, addresses } = await founders(t)
  const [n1, n2, n3] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  n1.identity.diesAtAdoption = true
  void n1.start()
  const others = Promise.all([n2.start(), n3.start()])
  await eventually(() => n2.identity.cluster !== undefined && n3.identity.cluster !== undefined, 'the others have adopted')
  assert.equal(n1.identity.cluster, undefined)
  await n1.close()
  n1.identity.diesAtAdoption = false
  const again = await openClusterNode(t, n1.data, { addresses: at(addresses[0]!), formation: { expect: 3, join: addresses } })
  const [cluster, [second]] = await Promise.all([again.start(), others])
  assert.equal(cluster.clusterId, second.clusterId)
  await write([again, n2, n3], 'one')
})

test('a node whose data directory is lost is refused under its old id, and nothing acknowledged is lost', async (t) => {
  const { nodes, addresses } = await founders(t)
  const [n1, n2, n3] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  await Promise.all(nodes.map((node) => node.start()))
  await write(nodes, 'one')
  await n3.close()
  const wiped = await openClusterNode(t, new DataDirectory('n3'), {
    addresses: at(addresses[2]!),
    formation: { expect: 3, join: addresses },
  })
  await assert.rejects(wiped.start(), /member_of_another_incarnation/)
  assert.equal(wiped.identity.cluster, undefined)
  await write([n1, n2], 'two')
  // The answer comes from the leader; the other one applies a moment later.
  await eventually(() => [n1, n2].every((node) => node.commands().join() === 'one,two'), 'both have all that was acknowledged')
})

test('a node joins a running cluster through a follower, learns the log and becomes a voter', async (t) => {
  const { nodes } = await founders(t)
  await Promise.all(nodes.map((node) => node.start()))
  await write(nodes, 'one')
  const leader = await leaderOf(nodes)
  const follower = nodes.find((node) => node !== leader)!
  const joiner = await openClusterNode(t, new DataDirectory('n4'), { formation: { join: [follower.peers.self.raftAddress] } })
  const cluster = await joiner.start()
  assert.equal(cluster.origin, 'joined')
  assert(!joiner.events.some((event) => event.kind === 'formation' && event.state === 'join-trouble'), 'at the first attempt')
  await eventually(() => joiner.commands().join() === 'one', 'it has the log')
  const isVoter = (): boolean =>
    leader
      .replica()
      .status()
      .membership.members.some(({ id, suffrage }) => id === 'n4' && suffrage === 'voter')
  await eventually(isVoter, 'it is a voter')
  assert(leader.events.some((event) => event.kind === 'node-joined' && event.id === 'n4'))
})

test('a member that comes back at a new address tells the cluster itself', async (t) => {
  const first = await single(t)
  const data = new DataDirectory('n2')
  const joined = await openClusterNode(t, data, { formation: { join: [first.peers.self.raftAddress] } })
  await joined.start()
  await write([first, joined], 'one')
  await joined.close()
  const moved = await openClusterNode(t, data, {})
  await moved.start()
  const known = (): string | undefined =>
    first
      .replica()
      .status()
      .membership.members.find(({ id }) => id === 'n2')?.raftAddress
  assert.notEqual(moved.peers.self.raftAddress, joined.peers.self.raftAddress)
  await eventually(() => known() === moved.peers.self.raftAddress, 'the cluster knows the new address')
  await write([first, moved], 'two')
  await eventually(() => moved.commands().join() === 'one,two', 'and reaches it there')
})

test('an address that belongs to another member is refused', async (t) => {
  const first = await single(t)
  const thief = await openClusterNode(t, new DataDirectory('n2'), {
    addresses: { bind: { host: '127.0.0.1', port: 0 }, raftAddress: first.peers.self.raftAddress, apiUrl: 'https://n2:4001' },
    formation: { join: [first.peers.self.raftAddress] },
  })
  await assert.rejects(thief.start(), /address_taken/)
})

const doors: readonly [string, Credentials | undefined, boolean][] = [
  ['with the password of a user who may join', { username: 'bob', password: 'secret1' }, true],
  ['with a wrong password', { username: 'bob', password: 'secret2' }, false],
  ['without credentials', undefined, false],
  ['as a user who may join read-only alone', { username: 'reader', password: 'secret3' }, false],
]

for (const [name, credentials, mayJoin] of doors) {
  test(`without mutual TLS a node ${name} is ${mayJoin ? 'taken' : 'refused'}`, async (t) => {
    const authorizer: JoinAuthorizer = {
      authorize: (given, permission) =>
        Promise.resolve(
          (permission === 'join' && given?.username === 'bob' && given.password === 'secret1') ||
            (permission === 'join-read-only' && given?.username === 'reader'),
        ),
    }
    const first = await single(t, { ...serverTlsOnly(), authorizer })
    const joiner = await openClusterNode(t, new DataDirectory('n2'), {
      ...serverTlsOnly(),
      formation: { join: [first.peers.self.raftAddress], credentials },
    })
    if (mayJoin) return void (await joiner.start())
    await assert.rejects(joiner.start(), /join_denied/)
    assert.equal(first.replica().status().membership.members.length, 1)
    assert(first.events.some((event) => event.kind === 'join-refused' && event.code === 'join_denied'))
    assert(!JSON.stringify([...first.events, ...joiner.events]).includes('secret'))
    return undefined
  })
}

test('a certificate of the node CA alone does not let a node join: whoever steals one key would get all data and any number of votes', async (t) => {
  const first = await single(t)
  const thief = await openClusterNode(t, new DataDirectory('n2'), {
    formation: { join: [first.peers.self.raftAddress], credentials: undefined },
  })
  await assert.rejects(thief.start(), /join_denied/)
  assert.equal(first.replica().status().membership.members.length, 1)
})

test('a node that says an id other than the one it asks to join with is refused', async (t) => {
  const first = await single(t)
  // The joiner's own identity says n2; the record that it asks with says n3.
  const data = new DataDirectory('n2')
  const joiner = await openClusterNode(t, data, { formation: { join: [first.peers.self.raftAddress] } })
  Object.assign(joiner.peers.self, { id: 'n3' })
  await assert.rejects(joiner.start(), /join_malformed/)
})

test('an API address is asked for the Raft address, with the credentials that stand in it', async (t) => {
  const authorizer: JoinAuthorizer = { authorize: (given) => Promise.resolve(given?.password === 'secret1') }
  const first = await single(t, { ...serverTlsOnly(), authorizer })
  const authorizations: (string | undefined)[] = []
  const api = createServer((request, response) => {
    authorizations.push(request.headers.authorization)
    response.end(JSON.stringify({ n1: { id: 'n1', addr: first.peers.self.raftAddress, leader: true } }))
  })
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve))
  t.after(() => api.close())
  const bound = api.address()
  assert(typeof bound === 'object' && bound !== null)
  const join = [`http://bob:secret1@127.0.0.1:${bound.port}`]
  const joiner = await openClusterNode(t, new DataDirectory('n2'), { ...serverTlsOnly(), formation: { join } })
  await joiner.start()
  assert.deepEqual(new Set(authorizations), new Set([`Basic ${Buffer.from('bob:secret1').toString('base64')}`]))
})

test('a node that nobody takes gives up after its attempts and names the last reason', async (t) => {
  const [nobody] = await freeAddresses(1)
  const joiner = await openClusterNode(t, new DataDirectory('n2'), { formation: { join: [nobody!], attempts: 3 } })
  await assert.rejects(joiner.start(), (error: Error) => error.message === 'join_exhausted' && String(error.cause).includes('ECONNREFUSED'))
})

test('expecting more nodes than are named, or so few of them that two clusters could form, is refused at once', async (t) => {
  for (const [expect, join, code] of [
    [3, ['a:1'], /bootstrap_expect_too_few_addresses/],
    [2, ['a:1', 'b:1', 'c:1', 'd:1'], /bootstrap_expect_no_majority/],
  ] as const) {
    const node = await openClusterNode(t, new DataDirectory('n1'), { formation: { expect, join } })
    await assert.rejects(node.start(), code)
  }
})

test('a node learns of a member it does not know from the members that it knows, and lets it in', async (t) => {
  const { nodes } = await founders(t)
  const [n1, n2, n3] = nodes as [ClusterNode, ClusterNode, ClusterNode]
  await Promise.all(nodes.map((node) => node.start()))
  await write(nodes, 'one')
  const before = n3.replica().status().membership
  const joiner = await openClusterNode(t, new DataDirectory('n4'), { formation: { join: [n1.peers.self.raftAddress] } })
  await joiner.start()
  await eventually(() => n3.replica().status().membership.members.length === 4, 'n3 has applied it')
  // A node that has not applied the entry yet: it is restarted as it was before.
  await n3.close()
  const behind = await startTestNode(t, 'n3', {
    identity: n3.identity,
    addresses: at(n3.peers.self.raftAddress),
    formation: { hasLog: true },
  })
  behind.peers.transport.setMembership(before)
  await eventually(() => behind.events.some((event) => event.kind === 'connected' && event.id === 'n4'), 'n4 is let in')
  assert(behind.events.some((event) => event.kind === 'vouched' && event.id === 'n4'))
  assert(n1.replica().status().membership.members.length === 4 && n2.identity.cluster !== undefined)
})

test('with one certificate for all nodes, self-signed as in the recipe, it works by that certificate alone and says that it is weaker', async (t) => {
  const files = new TestTlsSource(testMaterial(makeTestSelfSigned('any name'), undefined))
  const recipe: TestNodeChanges = {
    tls: { files, rules: { ...mutualTls, verifyClient: false } },
    authorizer: { authorize: () => Promise.resolve(true) },
  }
  const first = await single(t, recipe)
  const second = await openClusterNode(t, new DataDirectory('n2'), { ...recipe, formation: { join: [first.peers.self.raftAddress] } })
  await second.start()
  assert.equal(second.events.filter(({ kind }) => kind === 'shared-certificate').length, 1)
  const stranger = await openClusterNode(t, new DataDirectory('n3'), {
    tls: {
      files: new TestTlsSource(testMaterial(makeTestSelfSigned('any name'), undefined)),
      rules: recipe.tls === 'plain' ? mutualTls : recipe.tls!.rules,
    },
    formation: { join: [first.peers.self.raftAddress], attempts: 1 },
  })
  await assert.rejects(stranger.start(), (error: Error) => String(error.cause).includes('not trusted'))
})

test('an address in use is reported, and so are verify-client without a CA and a malformed -join', async (t) => {
  const node = await startTestNode(t, 'a')
  const leafWithoutCa = new TestTlsSource(testMaterial(testNodeLeaf, undefined))
  const base = {
    identity: node.identity,
    version: '1',
    addresses: { bind: { host: '127.0.0.1', port: 0 }, raftAddress: undefined, apiUrl: 'https://a' },
    tls: { files: new TestTlsSource(), rules: mutualTls },
    authorizer: { authorize: () => Promise.resolve(false) },
    formation: {
      join: [],
      attempts: 1,
      intervalMs: 1,
      expect: undefined,
      expectTimeoutMs: 1,
      credentials: undefined,
      apiTrust: { ca: undefined, noVerify: false },
      hasLog: false,
    },
    replica: () => undefined,
    forwardedRequestHandler: () => undefined,
    clock: systemClock,
    random: Math.random,
    onEvent: () => {},
  }
  const problem = async (changes: object): Promise<string> => {
    const opened = await openPeers({ ...base, ...changes })
    return opened.ok ? 'ok' : opened.problem.code
  }
  assert.equal(await problem({ addresses: { ...base.addresses, bind: node.peers.address } }), 'address_in_use')
  assert.equal(await problem({ tls: { files: leafWithoutCa, rules: mutualTls } }), 'client_ca_missing')
  assert.equal(
    await problem({ tls: { ...base.tls, rules: { ...mutualTls, verifyClient: false, verifyCommonName: 'x' } } }),
    'common_name_without_verify_client',
  )
})
