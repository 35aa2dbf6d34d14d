// For tests: nodes with real sockets, real TLS and identities in memory. Certificates are made once per process; they cost more than everything else.
import { parseJoinList } from '../../contract/flags/join-list.ts'
import type { JoinTarget } from '../../contract/node-configuration.ts'
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Result } from '../../runtime/result.ts'
import { parseCertificates, type TlsMaterial } from '../../runtime/tls-files.ts'
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import type { Member, Membership, NodeId } from '../raft/membership.ts'
import { systemClock } from '../replica/system-clock.ts'
import type { ClusterIdentity, IdentityStore } from './cluster-identity.ts'
import { openPeers, type OpenPeersOptions, type Peers, type TlsSource } from './open-peers.ts'
import type { Credentials } from './join-words.ts'
import { noLife, noProof, protocol, type Hello, type Life, type Purpose } from './hello.ts'
import { makeDial, type Answered, type DialProblem } from './peer-dialer.ts'
import type { PeerEvent } from './peer-event.ts'
import type { PeerTlsRules } from './peer-tls.ts'
import { makeTestCa, makeTestLeaf, type TestCa, type TestKeyPair } from './test-certificates.ts'

export const testNodeCa: TestCa = makeTestCa('node CA')
export const testNodeLeaf: TestKeyPair = makeTestLeaf(testNodeCa)
export const mutualTls: PeerTlsRules = { verifyClient: true, noVerify: false, verifyServerName: undefined, verifyCommonName: undefined }

export function testMaterial(pair: TestKeyPair, ca: string | undefined): TlsMaterial {
  const fingerprint = createHash('sha256')
    .update(`${pair.certificate}${pair.key}${ca ?? ''}`)
    .digest('hex')
  const caCertificates = ca === undefined ? [] : (parseCertificates(ca) ?? [])
  return { ...pair, ca, leaf: new X509Certificate(pair.certificate), caCertificates, fingerprint }
}

/** Certificates that a test swaps by hand. */
export class TestTlsSource implements TlsSource {
  readonly #listeners = new Set<(material: TlsMaterial) => void>()
  current: TlsMaterial

  constructor(material: TlsMaterial = testMaterial(testNodeLeaf, testNodeCa.certificate)) {
    this.current = material
  }

  onChange(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  swap(material: TlsMaterial): void {
    this.current = material
    for (const listener of this.#listeners) listener(material)
  }
}

/** Outlives the node that uses it, as a data directory does. */
export class MemoryIdentity implements IdentityStore {
  readonly nodeId: NodeId
  readonly incarnation: string
  life?: number
  cluster: ClusterIdentity | undefined
  /** Set by a test: the process "dies" at the adoption, before it is durable. */
  diesAtAdoption = false

  constructor(nodeId: string, cluster?: ClusterIdentity) {
    this.nodeId = nodeId as NodeId
    this.incarnation = randomBytes(16).toString('hex')
    this.cluster = cluster
  }

  adopt(cluster: ClusterIdentity): Promise<void> {
    if (this.diesAtAdoption) return new Promise(() => {})
    assert(this.cluster === undefined || this.cluster.clusterId === cluster.clusterId, 'a node adopts once in its life')
    this.cluster = cluster
    return Promise.resolve()
  }
}

export interface TestNode {
  readonly peers: Peers
  readonly identity: MemoryIdentity
  readonly tls: TestTlsSource | undefined
  readonly events: PeerEvent[]
  close(): Promise<void>
}

export type TestNodeChanges = Partial<Omit<OpenPeersOptions, 'tls' | 'formation' | 'identity'>> & {
  readonly identity?: MemoryIdentity
  readonly tls?: { readonly files: TestTlsSource; readonly rules: PeerTlsRules } | 'plain'
  /** `join` as it would be typed. */
  readonly formation?: Partial<Omit<OpenPeersOptions['formation'], 'join'>> & { readonly join?: readonly string[] }
}

/** Of a user who may join; every test node has them and accepts them unless the test says otherwise. */
const joinCredentials: Credentials = { username: 'joiner', password: 'may-join' }

export async function startTestNode(t: TestContext | undefined, id: string, changes: TestNodeChanges = {}): Promise<TestNode> {
  const identity = changes.identity ?? new MemoryIdentity(id)
  const tls = changes.tls === 'plain' ? undefined : (changes.tls ?? { files: new TestTlsSource(), rules: mutualTls })
  const events: PeerEvent[] = []
  const opened = await openPeers({
    version: '1.2.3',
    addresses: { bind: { host: '127.0.0.1', port: 0 }, raftAddress: undefined, apiUrl: `https://${id}:4001` },
    authorizer: { authorize: (given) => Promise.resolve(given?.password === joinCredentials.password) },
    replica: () => undefined,
    forwardedRequestHandler: () => undefined,
    clock: systemClock,
    random: Math.random,
    ...changes,
    onEvent: (event) => {
      events.push(event)
      changes.onEvent?.(event)
    },
    identity,
    tls,
    formation: {
      attempts: 5,
      intervalMs: 20,
      expect: undefined,
      expectTimeoutMs: 20_000,
      credentials: joinCredentials,
      apiTrust: { ca: undefined, noVerify: false },
      hasLog: false,
      ...changes.formation,
      join: targetsOf(changes.formation?.join ?? []),
    },
  })
  assert(opened.ok, opened.ok ? '' : opened.problem.message)
  const peers = opened.value
  let isClosed = false
  const close = async (): Promise<void> => {
    if (isClosed) return
    isClosed = true
    await peers.close()
  }
  t?.after(close)
  return { peers, identity, tls: tls?.files, events, close }
}

/** A hello that proves nothing, with what a test changes. */
export function testHello(changes: Partial<Hello> = {}): Hello {
  return {
    protocolMin: protocol.min,
    protocolMax: protocol.max,
    purpose: 'raft',
    clusterId: 'test-cluster',
    nodeId: 'b' as NodeId,
    targetNodeId: 'a',
    version: '',
    life: noLife,
    nonce: randomBytes(16),
    proof: noProof,
    ...changes,
  }
}

/** Dials `to` as if this process were the node with that identity: for tests that say what no correct member says. */
export async function dialAs(
  caller: { readonly identity: MemoryIdentity; readonly incarnation?: string; readonly life?: Life },
  to: TestNode,
  purpose: Purpose,
): Promise<Result<Answered, DialProblem>> {
  const { identity } = caller
  const material = testMaterial(testNodeLeaf, testNodeCa.certificate)
  const dial = makeDial({
    nodeId: identity.nodeId,
    incarnation: caller.incarnation ?? identity.incarnation,
    version: '1',
    tls: { rules: mutualTls, material: () => material },
    clusterId: () => identity.cluster?.clusterId,
    life: () => caller.life ?? noLife,
    member: () => memberOf(to),
    removed: () => [],
  })
  return dial({ address: to.peers.self.raftAddress, purpose, member: memberOf(to), timeoutMs: 10_000 })
}

export function memberOf(node: TestNode): Member {
  return { ...node.peers.self, suffrage: 'voter' }
}

export function membershipOf(nodes: readonly TestNode[]): Membership {
  return { members: nodes.map(memberOf).sort((a, b) => (a.id < b.id ? -1 : 1)) }
}

/** Makes them one running cluster without the formation protocol. */
export function unite(nodes: readonly TestNode[], clusterId = 'test-cluster'): Membership {
  const members = membershipOf(nodes)
  for (const { identity, peers } of nodes) {
    identity.cluster = { clusterId, members, origin: 'formed' }
    peers.transport.setMembership(members)
  }
  return members
}

function targetsOf(join: readonly string[]): readonly JoinTarget[] {
  const targets = parseJoinList(join.join(','))
  assert(targets.ok, targets.ok ? '' : targets.problem)
  return targets.value
}
