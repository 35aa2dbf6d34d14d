// -disco-mode: the nodes to join, or to form a cluster with, are found in DNS instead of being listed by -join. Names are resolved anew in each round, because Kubernetes
// publishes pods as they come. Who answers there is checked as always: DNS says where to ask, never whom to trust.
import { lookup, resolveSrv } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import { fail, ok, type Result } from '../../runtime/result.ts'
import { formatHostPort } from '../../contract/host-port.ts'
import type { Clock } from '../replica/clock.ts'
import { membersMax } from '../raft/membership-codec.ts'
import type { JoinAddress } from './join-address.ts'

/** `dns`: every address (A, AAAA) of `name`, with `port`. `dns-srv`: hosts and ports of the records at `_service._tcp.name`. `hosts`: these. */
export type Discovery =
  | { readonly mode: 'dns'; readonly name: string; readonly port: number }
  | { readonly mode: 'dns-srv'; readonly name: string; readonly service: string }
  | { readonly mode: 'hosts'; readonly addresses: readonly string[] }

/** Rejects as node:dns/promises does. */
export interface DnsResolver {
  addresses(name: string): Promise<readonly string[]>
  services(name: string): Promise<readonly { readonly name: string; readonly port: number; readonly priority: number }[]>
}

export const systemResolver: DnsResolver = {
  // As every other program of this machine resolves names: /etc/hosts and the search list of Kubernetes included. SRV records have no such way; their names must be whole.
  addresses: async (name) => (await lookup(name, { all: true, order: 'ipv4first' })).map(({ address }) => address),
  services: (name) => resolveSrv(name),
}

export type DiscoveryProblem = { readonly code: 'discovery_failed'; readonly message: string }

const resolveMsMax = 5_000

/** In a stable order and without repetitions; never more than a cluster can have in two families of addresses. */
export async function discover(
  discovery: Discovery,
  by: { readonly resolver: DnsResolver; readonly clock: Clock },
): Promise<Result<readonly JoinAddress[], DiscoveryProblem>> {
  if (discovery.mode === 'hosts') return ok(Array.from(new Set(discovery.addresses), (address) => ({ kind: 'raft', address })))
  const name = discovery.mode === 'dns' ? discovery.name : `_${discovery.service}._tcp.${discovery.name}`
  const problem = (why: string) => fail({ code: 'discovery_failed', message: `${name} cannot be resolved (${why})` } as const)
  const resolved = discovery.mode === 'dns' ? addressesOf(discovery, by.resolver) : servicesOf(name, by.resolver)
  const outcome = await new Promise<readonly string[] | string>((resolve) => {
    const cancel = by.clock.after(resolveMsMax, () => resolve('no answer in time'))
    void resolved
      // Whatever goes wrong with DNS goes wrong for a while: the next round asks again.
      .catch((error: NodeJS.ErrnoException) => error.code ?? error.message)
      .then((found) => (cancel(), resolve(found)))
  })
  if (typeof outcome === 'string') return problem(outcome)
  const distinct = Array.from(new Set(outcome)).slice(0, 2 * membersMax)
  return ok(distinct.map((address) => ({ kind: 'raft', address })))
}

/** How many nodes these addresses stand for at least: with two families of addresses each node has one of either. */
export function nodesNamed(addresses: readonly JoinAddress[]): number {
  const sixes = addresses.filter(
    (address) => address.kind === 'raft' && isIPv6(address.address.slice(1, address.address.lastIndexOf(']'))),
  ).length
  return Math.max(sixes, addresses.length - sixes)
}

async function addressesOf({ name, port }: Extract<Discovery, { mode: 'dns' }>, resolver: DnsResolver): Promise<readonly string[]> {
  return (await resolver.addresses(name)).map((host) => formatHostPort({ host, port }))
}

async function servicesOf(name: string, resolver: DnsResolver): Promise<readonly string[]> {
  const records = await resolver.services(name)
  return Array.from(records)
    .sort((a, b) => a.priority - b.priority)
    .map((record) => formatHostPort({ host: record.name.replace(/\.$/, ''), port: record.port }))
}
