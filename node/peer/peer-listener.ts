// The Raft port. Whoever calls has a few seconds to finish TLS and say hello; until then it is a stranger, and strangers of one address cannot take all places.
// With a node certificate the port speaks TLS 1.3 and nothing else; without one plain TCP, which the composition root announces as insecure.
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, TLSSocket, type Server as TlsServer } from 'node:tls'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Member } from '../raft/membership.ts'
import type { Clock } from '../replica/clock.ts'
import { FramedSocket } from './framed-socket.ts'
import { frameTypes, type Frame } from './frame.ts'
import {
  decodeHello,
  encodeRefusal,
  encodeWelcome,
  helloBytesMax,
  judgeHello,
  memberPurposes,
  noProof,
  protocol,
  prove,
  provenRefusals,
  type Hello,
  type HelloRefusal,
  type ProofSubject,
} from './hello.ts'
import { formatHostPort, type HostPort } from '../../contract/host-port.ts'
import type { LifeMarks } from './life-marks.ts'
import type { LocalNode } from './local-node.ts'
import { sayGoodbye } from './member-link.ts'
import type { ListenerRefusal, PeerEvent } from './peer-event.ts'
import { applicationProtocol, channelOf, handshakeMsMax, hasCommonName, isStillTrusted, serverOptions, trustedRoots } from './peer-tls.ts'

/** One who was let in. For the purposes of members `member` is who it has proven to be. */
export interface Admitted {
  readonly framed: FramedSocket
  readonly hello: Hello
  readonly member: Member | undefined
  /** It showed a certificate that a CA of ours has signed (mutual TLS). */
  readonly hasVerifiedCertificate: boolean
  /** `host:port`, for logs. */
  readonly remoteAddress: string
}

export interface PeerListenerOptions {
  readonly local: LocalNode
  readonly bind: HostPort
  /** Must call `framed.become` before it returns. */
  readonly admit: (admitted: Admitted) => void
  readonly marks: LifeMarks
  /** A caller that is no member to our knowledge: may be one by an entry that this node has not applied yet. */
  readonly vouch: (hello: Hello) => Promise<void>
  readonly clock: Clock
  readonly onEvent: (event: PeerEvent) => void
}

export type ListenProblem = { readonly code: 'address_in_use' | 'address_unusable'; readonly message: string }

/** 64 members with three connections each, and room for those that are being replaced. */
export const connectionsMax = 512
/** Connections of one address that have not proven to be a member's: several members may restart behind one address, a flood does not pass. */
export const strangersPerAddressMax = 32
/** And of all addresses together, so that members always find a place. */
const strangersMax = 256

interface Stranger {
  readonly host: string
  readonly stopTimer: () => void
}

export class PeerListener {
  readonly #options: PeerListenerOptions
  readonly #server: Server
  readonly #tlsServer: TlsServer | undefined
  readonly #strangers = new Map<string, Stranger>()
  readonly #open = new Set<FramedSocket>()
  readonly #raw = new Set<Socket>()
  /** Of purpose `raft`. */
  readonly #carriesMessages = new WeakSet<FramedSocket>()

  constructor(options: PeerListenerOptions) {
    this.#options = options
    const { tls } = options.local
    if (tls === undefined) {
      this.#server = createTcpServer((socket) => this.#hear(socket))
    } else {
      this.#tlsServer = createTlsServer(serverOptions(tls.material(), tls.rules), (socket) => this.#hear(socket))
      this.#tlsServer.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
        this.#refused('tls_refused', { remoteAddress: addressOf(socket), detail: error.code ?? error.message })
        socket.destroy()
      })
      this.#server = this.#tlsServer
    }
    this.#server.on('connection', (raw: Socket) => this.#count(raw))
  }

  listen(): Promise<Result<HostPort, ListenProblem>> {
    const { host, port } = this.#options.bind
    return new Promise((resolve) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => resolve(fail(cannotListen(error, this.#options.bind))))
      this.#server.listen({ port, ...(host === '' ? {} : { host }) }, () => {
        const bound = this.#server.address() as AddressInfo
        this.#server.on('error', () => {}) // accept() failing for want of file descriptors is no reason to end; the caller tries again
        resolve(ok({ host: bound.address, port: bound.port }))
      })
    })
  }

  /** New certificates are in force: new connections see them, connections under a CA that is gone are closed. */
  certificatesChanged(): void {
    const { tls } = this.#options.local
    if (tls === undefined || this.#tlsServer === undefined) return
    this.#tlsServer.setSecureContext(serverOptions(tls.material(), tls.rules))
    for (const framed of this.#open) if (!this.#isTrusted(framed)) this.#dismiss(framed)
  }

  /** A member must not take it for our death: it would ask for an election. Whoever it is, not a word of it is heard any more. */
  #dismiss(framed: FramedSocket): void {
    if (!this.#carriesMessages.has(framed)) return framed.close('ca_removed')
    return sayGoodbye(framed, 'ca_removed')
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const raw of this.#raw) raw.destroy()
    await closed
  }

  #count(raw: Socket): void {
    const remoteAddress = addressOf(raw)
    const host = raw.remoteAddress ?? ''
    const ofHost = Array.from(this.#strangers.values()).filter((stranger) => stranger.host === host).length
    const isFull = this.#raw.size >= connectionsMax
    if (isFull || ofHost >= strangersPerAddressMax || this.#strangers.size >= strangersMax) {
      this.#refused(isFull ? 'too_many_connections' : 'too_many_strangers', { remoteAddress })
      raw.destroy()
      return
    }
    this.#raw.add(raw)
    const stopTimer = this.#options.clock.after(handshakeMsMax, () => {
      this.#refused('hello_late', { remoteAddress })
      raw.destroy()
    })
    this.#strangers.set(remoteAddress, { host, stopTimer })
    raw.on('error', () => {}) // 'close' follows and says all
    raw.once('close', () => {
      this.#raw.delete(raw)
      this.#noStranger(remoteAddress)
    })
  }

  #isTrusted({ socket }: FramedSocket): boolean {
    const { tls } = this.#options.local
    if (tls?.rules.verifyClient !== true) return true
    return socket instanceof TLSSocket && isStillTrusted(socket, trustedRoots(tls.material()))
  }

  #noStranger(remoteAddress: string): void {
    this.#strangers.get(remoteAddress)?.stopTimer()
    this.#strangers.delete(remoteAddress)
  }

  #hear(socket: Socket): void {
    const remoteAddress = addressOf(socket)
    const framed = new FramedSocket(socket, {
      frameBytesMax: helloBytesMax,
      onFrame: (frame) => this.#greet(framed, frame, remoteAddress),
      onClose: () => this.#open.delete(framed),
    })
    this.#open.add(framed)
    // The CAs may have changed while the handshake was under way.
    if (!this.#isTrusted(framed)) return framed.close('ca_removed')
    if (socket instanceof TLSSocket && socket.alpnProtocol !== applicationProtocol) {
      this.#refused('hello_malformed', { remoteAddress, detail: 'another application protocol' })
      framed.close('another_protocol')
    }
  }

  #greet(framed: FramedSocket, frame: Frame, remoteAddress: string): void {
    const hello = frame.type === frameTypes.hello ? decodeHello(frame.body) : undefined
    if (hello === undefined) {
      this.#refused('hello_malformed', { remoteAddress })
      return framed.close('hello_malformed')
    }
    const refusal = this.#judge(framed, hello)
    if (refusal !== 'unknown_member') return this.#answer(framed, hello, remoteAddress, refusal)
    // Its next words must wait for the others' answer.
    framed.become({
      frameBytesMax: helloBytesMax,
      onFrame: () => framed.close('spoke_out_of_turn'),
      onClose: () => this.#open.delete(framed),
    })
    void this.#options.vouch(hello).then(() => {
      // It may have hung up meanwhile, and then there is no channel left to judge it by.
      if (!framed.socket.destroyed) this.#answer(framed, hello, remoteAddress, this.#judge(framed, hello))
    })
  }

  #judge(framed: FramedSocket, hello: Hello): HelloRefusal | undefined {
    const { local } = this.#options
    const called = {
      nodeId: local.nodeId,
      incarnation: local.incarnation,
      clusterId: local.clusterId(),
      member: (id: Hello['nodeId']) => local.member(id),
      removed: (id: Hello['nodeId']) => local.removed(id),
    }
    const { socket } = framed
    const commonName = local.tls?.rules.verifyCommonName
    if (commonName !== undefined && !(socket instanceof TLSSocket && hasCommonName(socket, commonName))) return 'common_name_refused'
    const refusal = judgeHello(hello, called, channelFor(framed))
    const member = refusal === undefined && memberPurposes.has(hello.purpose) ? local.member(hello.nodeId) : undefined
    // Last, because it takes note.
    return member === undefined ? refusal : this.#options.marks.judge(member, hello.life)
  }

  #answer(framed: FramedSocket, hello: Hello, remoteAddress: string, refusal: HelloRefusal | undefined): void {
    if (framed.isClosed || framed.socket.destroyed) return
    if (refusal !== undefined) {
      this.#refused(refusal, { remoteAddress, nodeId: hello.nodeId })
      // Whatever it says now, it has had its answer.
      framed.become({ frameBytesMax: helloBytesMax, onFrame: () => framed.close(refusal), onClose: () => this.#open.delete(framed) })
      const proof = provenRefusals.has(refusal) ? this.#proof(framed, hello, refusal) : noProof
      framed.write(frameTypes.refusal, [encodeRefusal({ code: refusal, proof })])
      return framed.end(refusal)
    }
    const { local } = this.#options
    const isForMembers = memberPurposes.has(hello.purpose)
    // Who only asks to join stays a stranger: such connections must never take the places of members.
    if (isForMembers) this.#noStranger(remoteAddress)
    else this.#strangers.get(remoteAddress)?.stopTimer()
    framed.write(frameTypes.welcome, [
      encodeWelcome({
        protocol: Math.min(protocol.max, hello.protocolMax),
        clusterId: isForMembers ? (local.clusterId() ?? '') : '',
        nodeId: local.nodeId,
        version: isForMembers ? local.version : '',
        proof: isForMembers ? this.#proof(framed, hello, 'welcome') : noProof,
      }),
    ])
    if (hello.purpose === 'raft') this.#carriesMessages.add(framed)
    const { socket } = framed
    const hasVerifiedCertificate = socket instanceof TLSSocket && local.tls?.rules.verifyClient === true && socket.authorized
    const member = isForMembers ? local.member(hello.nodeId) : undefined
    this.#options.admit({ framed, hello, member, hasVerifiedCertificate, remoteAddress })
    framed.socket.once('close', () => this.#open.delete(framed))
  }

  #proof(framed: FramedSocket, hello: Hello, says: ProofSubject['says']): Uint8Array {
    return prove(this.#options.local.incarnation, { says, hello, channel: channelFor(framed) })
  }

  #refused(
    code: HelloRefusal | ListenerRefusal,
    facts: { readonly remoteAddress: string; readonly nodeId?: string; readonly detail?: string },
  ): void {
    const { remoteAddress, nodeId, detail } = facts
    this.#options.onEvent({ kind: 'refused-incoming', code, remoteAddress, nodeId, detail })
  }
}

function channelFor(framed: FramedSocket): Uint8Array {
  return framed.socket instanceof TLSSocket ? channelOf(framed.socket) : new Uint8Array()
}

function addressOf(socket: Socket): string {
  return formatHostPort({ host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })
}

function cannotListen(error: NodeJS.ErrnoException, bind: HostPort): ListenProblem {
  const address = formatHostPort(bind)
  return error.code === 'EADDRINUSE'
    ? { code: 'address_in_use', message: `${address} is in use by another program` }
    : { code: 'address_unusable', message: `cannot listen on ${address} (${error.code ?? 'unknown error'})` }
}
