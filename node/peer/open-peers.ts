// The door of this room: everything that one node says to others and hears from them, over one port.
import { randomBytes } from 'node:crypto'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { TlsMaterial } from '../../runtime/tls-files.ts'
import type { ForwardedRequestHandler, Forwarder } from '../api/forwarder.ts'
import type { Reachability } from '../api/node-view.ts'
import type { Member } from '../raft/membership.ts'
import type { Trust } from '../raft/raft-port.ts'
import type { Clock } from '../replica/clock.ts'
import type { Replica } from '../replica/replica-port.ts'
import type { SnapshotSource } from '../replica/snapshot-source.ts'
import type { SnapshotStore } from '../replica/snapshot-store.ts'
import type { Transport } from '../replica/transport.ts'
import { Adoption } from './adoption.ts'
import { announceAddress } from './announce-address.ts'
import type { ClusterIdentity, IdentityStore } from './cluster-identity.ts'
import { serve, type Answerer } from './conversation.ts'
import { isConfirmed } from './formation.ts'
import { discover, systemResolver, type Discovery, type DnsResolver } from './discovery.ts'
import { runFormation, type FormationFailure, type FormationOptions } from './formation-runner.ts'
import { notifyAnswerer, proposeAnswerer } from './formation-server.ts'
import { ForwardServer } from './forward-server.ts'
import { Forwarding } from './forwarding.ts'
import type { HelloRefusal, Life, Purpose } from './hello.ts'
import { formatHostPort, isUnspecified, type HostPort } from '../../contract/host-port.ts'
import type { JoinTarget } from '../../contract/node-configuration.ts'
import { toJoinAddress, type ApiTrust, type JoinAddress } from './join-address.ts'
import type { JoinAuthorizer } from './join-authorizer.ts'
import { joinAnswerer } from './join-server.ts'
import type { Credentials, JoinKind, NodeRecord } from './join-words.ts'
import { LifeMarks } from './life-marks.ts'
import { leave, leaveAnswerer, type LeaveProblem } from './leave.ts'
import type { LocalNode } from './local-node.ts'
import { MemberDirectory } from './member-directory.ts'
import { makeDial, type Dial } from './peer-dialer.ts'
import type { PeerEvent } from './peer-event.ts'
import { PeerListener, type Admitted, type ListenProblem } from './peer-listener.ts'
import { checkRules, type PeerTlsProblem, type PeerTlsRules } from './peer-tls.ts'
import { SnapshotLinks } from './snapshot-links.ts'
import { SnapshotServer } from './snapshot-server.ts'
import { TlsTransport } from './tls-transport.ts'
import { vouchAnswerer, Vouching } from './vouching.ts'

export interface OpenPeersOptions {
  readonly identity: IdentityStore
  /** The newest term on this node's disk. Read once, before the replica runs: from then on the log store may know a term that is not on the disk yet. */
  readonly durableTerm?: () => number
  /** As kept on disk. */
  readonly trust?: () => Trust
  readonly version: string
  readonly addresses: {
    readonly bind: HostPort
    /** Advertised, `host:port`; undefined: the one that is bound. */
    readonly raftAddress: string | undefined
    /** Advertised, with scheme. */
    readonly apiUrl: string
  }
  /** Undefined: plain TCP, because no node certificate was given. */
  readonly tls: { readonly files: TlsSource; readonly rules: PeerTlsRules } | undefined
  readonly authorizer: JoinAuthorizer
  readonly formation: {
    /** `-join`. */
    readonly join: readonly JoinTarget[]
    /** `-disco-mode`, instead of `-join`. */
    readonly discovery?: Discovery | undefined
    /** Absent: the system's. */
    readonly resolver?: DnsResolver
    /** `-raft-non-voter` is `read-only`; absent: a voter. */
    readonly as?: JoinKind
    readonly attempts: number
    readonly intervalMs: number
    /** `-bootstrap-expect`; undefined: not given. */
    readonly expect: number | undefined
    readonly expectTimeoutMs: number
    /** `-join-as` with its password from the local access file. */
    readonly credentials: Credentials | undefined
    readonly apiTrust: ApiTrust
    /** The log store holds entries: this node has been running before. */
    readonly hasLog: boolean
  }
  readonly replica: () => Replica | undefined
  readonly forwardedRequestHandler: () => ForwardedRequestHandler | undefined
  /** Copies of this node's state machine, for members that fetch them; undefined while there are none. */
  readonly snapshots?: () => Pick<SnapshotStore, 'take' | 'read'> | undefined
  readonly clock: Clock
  /** From 0 up to 1. */
  readonly random: () => number
  readonly onEvent: (event: PeerEvent) => void
}

/** runtime/tls-files.ts: WatchedTlsFiles is one. */
export interface TlsSource {
  readonly current: TlsMaterial
  onChange(listener: (material: TlsMaterial) => void): () => void
}

export interface Peers {
  /** As bound. */
  readonly address: HostPort
  readonly self: NodeRecord
  readonly transport: Transport
  readonly forwarder: Forwarder
  /** Other members' snapshots. */
  readonly snapshotSource: SnapshotSource
  /** Live check over the Raft port. */
  reach(member: Pick<Member, 'id'>, options: { readonly timeoutMs: number }): Promise<Reachability>
  /** Resolves when this node belongs to a cluster that may run; called once. `origin: 'formed'`: see first-entry.ts. */
  formation(): Promise<Result<ClusterIdentity, FormationFailure>>
  /** This node asks the leader to remove it from the cluster (`-raft-cluster-remove-shutdown`); resolves when that is committed. */
  leave(options: { readonly timeoutMs: number }): Promise<Result<void, LeaveProblem>>
  close(): Promise<void>
}

export type OpenPeersProblem = ListenProblem | PeerTlsProblem

export async function openPeers(options: OpenPeersOptions): Promise<Result<Peers, OpenPeersProblem>> {
  const checked = options.tls === undefined ? ok(undefined) : checkRules(options.tls.files.current, options.tls.rules)
  if (!checked.ok) return checked
  const parts = assemble(options)
  const bound = await parts.listener.listen()
  if (!bound.ok) return fail(bound.problem)
  return ok(new OpenPeers(options, parts, bound.value))
}

interface Parts {
  readonly local: LocalNode
  readonly directory: MemberDirectory
  readonly dial: Dial
  readonly transport: TlsTransport
  readonly forwarding: Forwarding
  readonly forwardServer: ForwardServer
  readonly snapshotLinks: SnapshotLinks
  readonly snapshotServer: SnapshotServer
  readonly listener: PeerListener
  readonly answerers: Map<Purpose, Answerer>
}

function assemble(options: OpenPeersOptions): Parts {
  const { identity, tls, version, replica, clock, random, onEvent } = options
  const { nodeId, incarnation } = identity
  const directory = new MemberDirectory(nodeId)
  const local: LocalNode = {
    nodeId,
    incarnation,
    version,
    tls: tls === undefined ? undefined : { rules: tls.rules, material: () => tls.files.current },
    clusterId: () => identity.cluster?.clusterId,
    life: lifeOf(options),
    member: (id) => directory.member(id),
    removed: (id) => directory.removed(id),
  }
  const dial = noticingSharedCertificate(
    noticingRefusals(makeDial(local), (refusal) => transport.refused(refusal)),
    onEvent,
  )
  const marks = new LifeMarks()
  const transport = new TlsTransport({ directory, dial, marks, clock, random, onEvent })
  const forwarding = new Forwarding({ directory, dial, clock, onEvent, self: { nodeId, version } })
  const forwardServer = new ForwardServer({ directory, handler: options.forwardedRequestHandler, clock, onEvent })
  const snapshotLinks = new SnapshotLinks({ directory, dial, clock, onEvent })
  const snapshotServer = new SnapshotServer({ directory, store: options.snapshots ?? (() => undefined), clock, onEvent })
  const vouching = new Vouching({ directory, dial, clock, onEvent })
  const answerers = new Map<Purpose, Answerer>([
    ['vouch', vouchAnswerer(directory)],
    [
      'join',
      joinAnswerer({
        cluster: () => identity.cluster,
        replica,
        removed: (id) => directory.removed(id),
        authorizer: options.authorizer,
        clock,
        onEvent,
      }),
    ],
    ['remove', leaveAnswerer({ replica, clock, onEvent })],
  ])
  const admit = (admitted: Admitted): void => {
    const { purpose } = admitted.hello
    if (purpose === 'raft') return transport.admit(admitted)
    if (purpose === 'forward') return forwardServer.admit(admitted)
    if (purpose === 'snapshot') return snapshotServer.admit(admitted)
    const answerer = answerers.get(purpose)
    return answerer === undefined ? admitted.framed.close('not_ready') : serve({ answerer, caller: admitted })
  }
  const vouch = (hello: { readonly nodeId: LocalNode['nodeId'] }): Promise<void> => vouching.about(hello.nodeId)
  const listener = new PeerListener({ local, bind: options.addresses.bind, admit, vouch, marks, clock, onEvent })
  return { local, directory, dial, transport, forwarding, forwardServer, snapshotLinks, snapshotServer, listener, answerers }
}

function lifeOf({ identity, durableTerm, trust }: OpenPeersOptions): () => Life {
  const process = randomBytes(8)
  const number = identity.life ?? 0
  const term = durableTerm?.() ?? 0
  return () => ({ number, process, term, isUntrusted: trust?.() === 'untrusted' })
}

function noticingRefusals(dial: Dial, onRefusal: (refusal: HelloRefusal | undefined) => void): Dial {
  return async (call) => {
    const answered = await dial(call)
    if (!answered.ok) onRefusal(answered.problem.refusal)
    return answered
  }
}

/** Said once: whoever holds the one key of all nodes is any of them, as far as certificates go. */
function noticingSharedCertificate(dial: Dial, onEvent: (event: PeerEvent) => void): Dial {
  let isSaid = false
  return async (call) => {
    const answered = await dial(call)
    if (answered.ok && answered.value.usesOurCertificate && !isSaid) {
      isSaid = true
      onEvent({ kind: 'shared-certificate' })
    }
    return answered
  }
}

class OpenPeers implements Peers {
  readonly address: HostPort
  readonly self: NodeRecord
  readonly transport: Transport
  readonly forwarder: Forwarder
  readonly snapshotSource: SnapshotSource
  readonly #options: OpenPeersOptions
  readonly #parts: Parts
  readonly #adoption: Adoption
  readonly #formationOptions: FormationOptions
  readonly #stopWatching: () => void
  #isRunning: boolean
  #isClosed = false

  constructor(options: OpenPeersOptions, parts: Parts, bound: HostPort) {
    this.#options = options
    this.#parts = parts
    this.address = bound
    this.self = selfRecord(options, bound)
    this.transport = parts.transport
    this.forwarder = parts.forwarding
    this.snapshotSource = parts.snapshotLinks
    this.#adoption = new Adoption(options.identity)
    this.#isRunning = options.formation.hasLog
    this.#formationOptions = this.#makeFormationOptions()
    this.#answerFormation()
    this.#announce()
    const { cluster } = options.identity
    if (cluster !== undefined && isConfirmed(cluster, options.identity.nodeId, options.formation.hasLog)) this.#begin(cluster)
    this.#stopWatching = options.tls?.files.onChange(() => this.#certificatesChanged()) ?? (() => {})
  }

  reach(member: Pick<Member, 'id'>, options: { readonly timeoutMs: number }): Promise<Reachability> {
    return this.#parts.forwarding.reach(member, options)
  }

  async formation(): Promise<Result<ClusterIdentity, FormationFailure>> {
    const formed = await runFormation(this.#formationOptions)
    if (formed.ok) this.#begin(formed.value)
    return formed
  }

  leave(asked: { readonly timeoutMs: number }): Promise<Result<void, LeaveProblem>> {
    const { replica, clock, identity } = this.#options
    const { directory, dial } = this.#parts
    return leave({ self: identity.nodeId, directory, replica, dial, clock }, asked)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopWatching()
    this.#parts.transport.close()
    this.#parts.forwarding.close()
    await this.#parts.forwardServer.close()
    this.#parts.snapshotLinks.close()
    this.#parts.snapshotServer.close()
    await this.#parts.listener.close()
  }

  #begin(cluster: ClusterIdentity): void {
    this.#isRunning = true
    this.#parts.directory.begin(cluster)
  }

  #certificatesChanged(): void {
    this.#options.onEvent({ kind: 'certificates-changed' })
    this.#parts.listener.certificatesChanged()
    this.#parts.transport.certificatesChanged()
    this.#parts.forwarding.certificatesChanged()
    this.#parts.snapshotLinks.certificatesChanged()
  }

  #answerFormation(): void {
    const { authorizer, onEvent, formation } = this.#options
    const isRunning = (): boolean => this.#isRunning
    const server = { self: this.self, expect: formation.expect, adoption: this.#adoption, isRunning, authorizer, onEvent }
    this.#parts.answerers.set('notify', notifyAnswerer(server)).set('propose', proposeAnswerer(server))
  }

  #announce(): void {
    const { replica, clock } = this.#options
    announceAddress({
      self: this.self,
      directory: this.#parts.directory,
      replica,
      clock,
      isClosed: () => this.#isClosed,
      join: { ...this.#formationOptions, onTrouble: () => {} },
    })
  }

  /** Where to ask now. */
  async #addresses(): Promise<readonly JoinAddress[]> {
    const { formation, clock, onEvent } = this.#options
    const { discovery, resolver = systemResolver } = formation
    if (discovery === undefined) return formation.join.map(toJoinAddress)
    const found = await discover(discovery, { resolver, clock })
    if (!found.ok) onEvent({ kind: 'formation', state: found.problem.code, detail: found.problem.message })
    return found.ok ? found.value : []
  }

  #makeFormationOptions(): FormationOptions {
    const { formation, clock, random, onEvent } = this.#options
    // Credentials that stand in an address are for that address alone.
    const { attempts, intervalMs, expect, expectTimeoutMs, hasLog, apiTrust, credentials } = formation
    return {
      self: this.self,
      adoption: this.#adoption,
      dial: this.#parts.dial,
      isClosed: () => this.#isClosed,
      as: formation.as ?? 'voter',
      addresses: () => this.#addresses(),
      isDiscovered: formation.discovery !== undefined,
      attempts,
      intervalMs,
      expect,
      expectTimeoutMs,
      hasLog,
      apiTrust,
      credentials,
      clock,
      random,
      onEvent,
    }
  }
}

function selfRecord(options: OpenPeersOptions, bound: HostPort): NodeRecord {
  const { identity, addresses } = options
  // Nobody can dial "every interface".
  const host = isUnspecified(bound) ? 'localhost' : bound.host
  const raftAddress = addresses.raftAddress ?? formatHostPort({ host, port: bound.port })
  return { id: identity.nodeId, incarnation: identity.incarnation, raftAddress, apiUrl: addresses.apiUrl }
}
