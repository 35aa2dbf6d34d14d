// The one map of the local runtime: which loopback address and port stands for each pod and port. Everything that would be found by DNS in a real cluster (a pod's
// arguments, the operator's question to a member, a probe) is looked up here.
import assert from 'node:assert/strict'
import { isPortFree } from '../../runtime/is-port-free.ts'

export interface PodName {
  readonly namespace: string
  readonly name: string
}

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** `address-per-pod`: each pod has its own 127.a.b.n and keeps its ports, as in a cluster; Linux answers on all of 127.0.0.0/8. `one-address`: all pods share
 * 127.0.0.1 and each port becomes another; macOS has no other loopback address. */
export type AddressMode = 'address-per-pod' | 'one-address'

export interface LocalAddressesOptions {
  readonly mode: AddressMode
  /** Gives [0, 1): spreads the networks of runtimes that run at the same time. */
  readonly random: () => number
  /** What a former run on the same folder used: a cluster on disk remembers its members' addresses. */
  readonly remembered?: AddressBook
  /** Told of every new entry, to remember it. */
  readonly onChange?: (book: AddressBook) => void
}

/** As it is kept in a file. */
export interface AddressBook {
  readonly network: string
  /** By `namespace/name`: the last number of the address. */
  readonly pods: Readonly<Record<string, number>>
  /** By `namespace/name:port`: the local port. */
  readonly ports: Readonly<Record<string, number>>
}

/** Pods of all clusters of one local runtime together. */
export const podsMax = 200
/** Networks (of 64 516) or ports that are tried before we give up. */
const attemptsMax = 50
/** Any port that pods commonly use: if it is free on the network's first address, the network is free. */
const probePort = 4001
const sharedAddress = '127.0.0.1'
/** Below the ports that Linux (32768) and macOS (49152) give to outgoing connections: one of those could otherwise sit on a member's port when it starts again. */
export const localPortMin = 20_000
export const localPortMax = 32_000

export class LocalAddresses {
  readonly mode: AddressMode
  readonly #network: string
  readonly #pods: Map<string, number>
  readonly #ports: Map<string, number>
  readonly #onChange: (book: AddressBook) => void
  readonly #random: () => number

  private constructor(options: LocalAddressesOptions, network: string) {
    this.mode = options.mode
    this.#network = network
    this.#random = options.random
    this.#pods = new Map(Object.entries(options.remembered?.pods ?? {}))
    this.#ports = new Map(Object.entries(options.remembered?.ports ?? {}))
    this.#onChange = options.onChange ?? ((): void => {})
  }

  static async open(options: LocalAddressesOptions): Promise<LocalAddresses> {
    const network = options.remembered?.network ?? (options.mode === 'one-address' ? '127.0.0' : await freeNetwork(options.random))
    return new LocalAddresses(options, network)
  }

  /** The address of a pod; the same for as long as the map lives, whether the pod runs or not. */
  addressOf(pod: PodName): string {
    if (this.mode === 'one-address') return sharedAddress
    const key = `${pod.namespace}/${pod.name}`
    const present = this.#pods.get(key)
    if (present !== undefined) return `${this.#network}.${present}`
    const next = this.#pods.size + 1
    assert(next <= podsMax, `the local runtime has addresses for ${podsMax} pods`)
    this.#pods.set(key, next)
    this.#changed()
    return `${this.#network}.${next}`
  }

  /** Where `port` of a pod is reached and listened on. */
  async endpoint(pod: PodName, port: number): Promise<Endpoint> {
    const host = this.addressOf(pod)
    if (this.mode === 'address-per-pod') return { host, port }
    const key = `${pod.namespace}/${pod.name}:${port}`
    const present = this.#ports.get(key)
    if (present !== undefined) return { host, port: present }
    return { host, port: await this.#givePort(host, key) }
  }

  async #givePort(host: string, key: string): Promise<number> {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const port = localPortMin + Math.floor(this.#random() * (localPortMax - localPortMin))
      const isFree = await isPortFree(host, port)
      // While we waited somebody may have asked for the same, or been given this port. From here on nothing waits.
      const present = this.#ports.get(key)
      if (present !== undefined) return present
      if (!isFree || new Set(this.#ports.values()).has(port)) continue
      this.#ports.set(key, port)
      this.#changed()
      return port
    }
    throw new Error(`no free port on ${host} after ${attemptsMax} tries`)
  }

  /** The endpoint behind a DNS name of a pod (`orders-0.orders-nodes.shop.svc`, with or without the cluster's domain); undefined when it is no such name. */
  async resolve(host: string, port: number): Promise<Endpoint | undefined> {
    const pod = podOfDnsName(host)
    return pod === undefined ? undefined : this.endpoint(pod, port)
  }

  /** Every address that the first `count` pods have or will have: what a certificate must carry to be good for them. */
  addresses(count: number): readonly string[] {
    if (this.mode === 'one-address') return [sharedAddress]
    return Array.from({ length: count }, (_unused, index) => `${this.#network}.${index + 1}`)
  }

  /** Everything that a later run must remember to give the same addresses. */
  get book(): AddressBook {
    return { network: this.#network, pods: Object.fromEntries(this.#pods), ports: Object.fromEntries(this.#ports) }
  }

  #changed(): void {
    this.#onChange(this.book)
  }
}

/** `POD.SERVICE.NAMESPACE.svc[.cluster.local]`, the name that a StatefulSet's headless Service gives each pod. */
export const podDnsPattern =
  /\b(?<pod>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)\.[a-z0-9][-a-z0-9]*\.(?<namespace>[a-z0-9][-a-z0-9]*)\.svc(?:\.cluster\.local)?\b/

function podOfDnsName(host: string): PodName | undefined {
  const groups = podDnsPattern.exec(host)?.groups
  const [name, namespace] = [groups?.['pod'], groups?.['namespace']]
  return name === undefined || namespace === undefined ? undefined : { namespace, name }
}

/** A /24 of 127.0.0.0/8 whose first address nobody listens on: other runtimes of other users are on the same machine. */
async function freeNetwork(random: () => number): Promise<string> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const octet = (): number => 1 + Math.floor(random() * 254)
    const network = `127.${octet()}.${octet()}`
    if (await isPortFree(`${network}.1`, probePort)) return network
  }
  throw new Error(`no free network in 127.0.0.0/8 after ${attemptsMax} tries: does this machine answer on addresses other than 127.0.0.1?`)
}
