import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { replaceAddresses } from './command-line.ts'
import { LocalAddresses, localPortMax, localPortMin } from './local-addresses.ts'
import type { AddressBook, AddressMode } from './local-addresses.ts'

const orders0 = { namespace: 'shop', name: 'orders-0' }
const orders1 = { namespace: 'shop', name: 'orders-1' }

function open(mode: AddressMode, remembered?: AddressBook): Promise<LocalAddresses> {
  return LocalAddresses.open({ mode, random: Math.random, ...(remembered === undefined ? {} : { remembered }) })
}

test('each pod has a loopback address of its own and keeps its ports', { skip: process.platform !== 'linux' }, async () => {
  const addresses = await open('address-per-pod')
  const first = await addresses.endpoint(orders0, 4001)
  const second = await addresses.endpoint(orders1, 4001)
  assert.match(first.host, /^127\.\d+\.\d+\.1$/)
  assert.notEqual(first.host, second.host)
  assert.deepEqual([first.port, second.port], [4001, 4001])
  assert.deepEqual(addresses.addresses(2), [first.host, second.host])
})

test('with one address each port of each pod becomes another, and stays the same', async () => {
  const addresses = await open('one-address')
  const asked = await Promise.all([orders0, orders1].flatMap((pod) => [4001, 4002].map((port) => addresses.endpoint(pod, port))))
  assert.ok(asked.every((endpoint) => endpoint.host === '127.0.0.1'))
  assert.equal(new Set(asked.map((endpoint) => endpoint.port)).size, 4)
  assert.ok(
    asked.every(({ port }) => port < 32_768),
    'an outgoing connection must not be able to sit on it',
  )
  assert.deepEqual(await addresses.endpoint(orders1, 4002), asked[3])
  assert.deepEqual(addresses.addresses(9), ['127.0.0.1'])
})

test('everybody who asks for one port of one pod at the same time is told the same', async () => {
  const addresses = await open('one-address')
  const asked = await Promise.all(Array.from({ length: 50 }, () => addresses.endpoint(orders0, 4001)))
  assert.equal(new Set(asked.map(({ port }) => port)).size, 1)
})

test('a run that remembers the book of a former one gives the same addresses', async () => {
  let book: AddressBook | undefined
  const before = await LocalAddresses.open({ mode: 'one-address', random: Math.random, onChange: (now) => (book = now) })
  const endpoint = await before.endpoint(orders0, 4001)
  assert.deepEqual(await (await open('one-address', book)).endpoint(orders0, 4001), endpoint)
})

test('a DNS name of a pod is resolved with and without the domain of the cluster; anything else is not', async () => {
  const addresses = await open('one-address')
  const endpoint = await addresses.endpoint(orders0, 4001)
  assert.deepEqual(await addresses.resolve('orders-0.orders-nodes.shop.svc', 4001), endpoint)
  assert.deepEqual(await addresses.resolve('orders-0.orders-nodes.shop.svc.cluster.local', 4001), endpoint)
  assert.equal(await addresses.resolve('example.org', 4001), undefined)
})

test('names and ports in an argument are replaced by endpoints, the missing host by the own one', async () => {
  const addresses = await open('one-address')
  const [own, peer] = [await addresses.endpoint(orders0, 4002), await addresses.endpoint(orders1, 4002)]
  const local = (text: string): Promise<string> => replaceAddresses(text, orders0, addresses)
  assert.equal(await local('-raft-addr=:4002'), `-raft-addr=127.0.0.1:${own.port}`)
  assert.equal(await local('0.0.0.0:4002'), `127.0.0.1:${own.port}`)
  assert.equal(await local('[::]:4002'), `127.0.0.1:${own.port}`)
  const join = '-join=orders-0.orders-nodes.shop.svc:4002,orders-1.orders-nodes.shop.svc.cluster.local:4002'
  assert.equal(await local(join), `-join=127.0.0.1:${own.port},127.0.0.1:${peer.port}`)
  assert.equal(await local('https://orders-1.orders-nodes.shop.svc:4002/x'), `https://127.0.0.1:${peer.port}/x`)
  assert.equal(await local('orders-1.orders-nodes.shop.svc'), '127.0.0.1')
  for (const text of ['-bootstrap-expect=3', '10.0.0.0:4002', '-timeout=00:40', '/data:rw', 'service.shop'])
    assert.equal(await local(text), text)
})

test('a port that somebody listens on is not given away', async (t) => {
  const taken = await LocalAddresses.open({ mode: 'one-address', random: Math.random })
  const { port } = await taken.endpoint(orders0, 4001)
  const listener = createServer()
  await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve))
  t.after(() => listener.close())
  let tries = 0
  // The first two tries hit that very port, the others any.
  const random = (): number => ((tries += 1) <= 2 ? (port - localPortMin + 0.5) / (localPortMax - localPortMin) : Math.random())
  const addresses = await LocalAddresses.open({ mode: 'one-address', random })
  assert.notEqual((await addresses.endpoint(orders1, 4001)).port, port)
  assert.ok(tries > 2)
})
