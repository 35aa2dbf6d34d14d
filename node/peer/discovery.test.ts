import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { createServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import { systemClock } from '../replica/system-clock.ts'
import { discover, nodesNamed, type Discovery, type DnsResolver } from './discovery.ts'
import { DataDirectory, openClusterNode, write } from './test-cluster.ts'

const clock = systemClock
const byName: Discovery = { mode: 'dns', name: 'db', port: 4002 }
const byService: Discovery = { mode: 'dns-srv', name: 'db.svc.cluster.local', service: 'raft' }

function resolver(answers: Partial<DnsResolver>): DnsResolver {
  const nothing = () => Promise.reject(Object.assign(new Error('queryA ENOTFOUND'), { code: 'ENOTFOUND' }))
  return { addresses: nothing, services: nothing, ...answers }
}

function raft(...addresses: readonly string[]) {
  return addresses.map((address) => ({ kind: 'raft', address }) as const)
}

test('dns gives every address once, with the port of the configuration', async () => {
  const asked: string[] = []
  const addresses = (name: string) => Promise.resolve((asked.push(name), ['10.0.0.1', '10.0.0.2', '10.0.0.1', 'fd00::1']))
  const found = await discover(byName, { resolver: resolver({ addresses }), clock })
  assert.deepEqual(found, ok(raft('10.0.0.1:4002', '10.0.0.2:4002', '[fd00::1]:4002')))
  assert.deepEqual(asked, ['db'])
})

test('dns-srv gives hosts and ports of the records, the preferred ones first', async () => {
  const asked: string[] = []
  const records = [
    { name: 'db-1.db.', port: 5002, priority: 2 },
    { name: 'db-0.db', port: 4002, priority: 1 },
  ]
  const services = (name: string) => Promise.resolve((asked.push(name), records))
  const found = await discover(byService, { resolver: resolver({ services }), clock })
  assert.deepEqual(found, ok(raft('db-0.db:4002', 'db-1.db:5002')))
  assert.deepEqual(asked, ['_raft._tcp.db.svc.cluster.local'])
})

test('hosts that are named are asked without DNS', async () => {
  const hosts: Discovery = { mode: 'hosts', addresses: ['db-0:4002', 'db-1:4002', 'db-0:4002'] }
  assert.deepEqual(await discover(hosts, { resolver: resolver({}), clock }), ok(raft('db-0:4002', 'db-1:4002')))
})

test('a name that does not exist, or whose server says nothing, is a problem and no exception', async () => {
  const message = 'db cannot be resolved (ENOTFOUND)'
  assert.deepEqual(await discover(byName, { resolver: resolver({}), clock }), fail({ code: 'discovery_failed', message }))
  const manual = new ManualClock()
  const silent = discover(byName, { resolver: resolver({ addresses: () => new Promise(() => {}) }), clock: manual })
  manual.advance(5_000)
  assert.deepEqual(await silent, fail({ code: 'discovery_failed', message: 'db cannot be resolved (no answer in time)' }))
})

test('a server that names thousands is not followed to all of them', async () => {
  const addresses = () => Promise.resolve(Array.from({ length: 5_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`))
  const found = await discover(byName, { resolver: resolver({ addresses }), clock })
  assert(found.ok && found.value.length === 128)
})

test('nodes with two families of addresses are counted once', () => {
  assert.equal(nodesNamed(raft('10.0.0.1:1', '10.0.0.2:1', '[fd00::1]:1', '[fd00::2]:1')), 2)
  assert.equal(nodesNamed(raft('[fd00::1]:1', '[fd00::2]:1', 'db:1')), 2)
  assert.equal(nodesNamed([]), 0)
})

/** Answers every question for SRV records with `targets`; RFC 1035 §4.1, RFC 2782. */
async function dnsServer(t: TestContext, targets: readonly { readonly name: string; readonly port: number }[]): Promise<Resolver> {
  const server = createSocket('udp4')
  server.on('message', (query, from) => {
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8580, 2)
    header.writeUInt16BE(targets.length, 6)
    header.writeUInt32BE(0, 8)
    const questionEnd = query.indexOf(0, 12) + 5
    const answers = targets.map(({ name, port }) => {
      const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)])
      const data = [0, 1, 0, 1, port >> 8, port & 255, ...labels, 0]
      return Buffer.from([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 1, data.length >> 8, data.length & 255, ...data])
    })
    server.send(Buffer.concat([header, query.subarray(12, questionEnd), ...answers]), from.port, from.address)
  })
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const asking = new Resolver()
  asking.setServers([`127.0.0.1:${server.address().port}`])
  return asking
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const bound = server.address()
    ports.push(typeof bound === 'object' && bound !== null ? bound.port : 0)
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

test('three nodes that find each other through a DNS server form one cluster', async (t) => {
  const ports = await freePorts(3)
  const asking = await dnsServer(
    t,
    ports.map((port) => ({ name: 'localhost', port })),
  )
  const formation = { expect: 3, discovery: byService, resolver: resolver({ services: (name) => asking.resolveSrv(name) }) }
  const nodes = await Promise.all(
    ports.map((port, n) => {
      const addresses = { bind: { host: '127.0.0.1', port }, raftAddress: `localhost:${port}`, apiUrl: `https://n${n}` }
      return openClusterNode(t, new DataDirectory(`n${n}`), { addresses, formation })
    }),
  )
  const clusters = await Promise.all(nodes.map((node) => node.start()))
  assert.equal(new Set(clusters.map(({ clusterId }) => clusterId)).size, 1)
  await write(nodes, 'one')
})

test('nodes that appear in DNS one after another are waited for, and one alone forms nothing', async (t) => {
  const ports = await freePorts(2)
  let visible = 0
  const services = () => Promise.resolve(ports.slice(0, visible).map((port) => ({ name: 'localhost', port, priority: 0 })))
  const formation = { expect: 2, discovery: byService, resolver: resolver({ services }) }
  const open = (n: number) => {
    const addresses = { bind: { host: '127.0.0.1', port: ports[n]! }, raftAddress: `localhost:${ports[n]}`, apiUrl: `https://n${n}` }
    return openClusterNode(t, new DataDirectory(`n${n}`), { addresses, formation })
  }
  const first = await open(0)
  const started = first.start()
  visible = 1
  const second = await open(1)
  const both = Promise.all([started, second.start()])
  visible = 2
  const [one, two] = await both
  assert.equal(one.clusterId, two.clusterId)
})

test('when DNS names twice as many nodes as are expected, two clusters could form, so none does', async (t) => {
  const addresses = () => Promise.resolve(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'])
  const node = await openClusterNode(t, new DataDirectory('n1'), {
    formation: { expect: 2, discovery: byName, resolver: resolver({ addresses }) },
  })
  await assert.rejects(node.start(), /bootstrap_expect_no_majority/)
})

test('a node that finds a running cluster in DNS joins it', async (t) => {
  const first = await openClusterNode(t, new DataDirectory('n1'))
  await first.start()
  const { host, port } = first.peers.address
  const discovery: Discovery = { mode: 'dns', name: 'db', port }
  const formation = { discovery, resolver: resolver({ addresses: () => Promise.resolve([host]) }) }
  const second = await openClusterNode(t, new DataDirectory('n2'), { formation })
  assert.equal((await second.start()).origin, 'joined')
})
