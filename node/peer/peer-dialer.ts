// Calls a node: TCP, TLS, hello, welcome. What comes back is a connection to one who has shown a trusted certificate and, when a member was called, has proven to be it.
import { randomBytes } from 'node:crypto'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Member } from '../raft/membership.ts'
import { FramedSocket } from './framed-socket.ts'
import { frameTypes, type Frame } from './frame.ts'
import {
  decodeRefusal,
  decodeWelcome,
  encodeHello,
  helloBytesMax,
  judgeRefusal,
  judgeWelcome,
  memberPurposes,
  noLife,
  noProof,
  protocol,
  prove,
  type Hello,
  type HelloRefusal,
  type Purpose,
  type Refusal,
  type Welcome,
} from './hello.ts'
import { parseHostPort } from '../../contract/host-port.ts'
import type { LocalNode } from './local-node.ts'
import { applicationProtocol, channelOf, clientOptions, usesOurCertificate } from './peer-tls.ts'

/**
 * `unreachable`: no connection, or it broke. `deadline`: nobody answered in time. `certificate_refused`: we do not trust the one who answered. `tls_refused`: the
 * other side ended the TLS handshake, as when it does not trust us. `refused`: the node said no to our hello, `refusal` is its code.
 * `identity_mismatch`: one who is not the member that was called. `not_a_node`: something else listens there. `address_malformed`: no `host:port`.
 */
export interface DialProblem {
  readonly code:
    | 'unreachable'
    | 'deadline'
    | 'certificate_refused'
    | 'tls_refused'
    | 'refused'
    | 'identity_mismatch'
    | 'not_a_node'
    | 'protocol_unsupported'
    | 'address_malformed'
    | 'closing'
  readonly refusal: HelloRefusal | undefined
  /** For people: the address and what went wrong there. */
  readonly message: string
}

export interface Call {
  /** `host:port`. */
  readonly address: string
  readonly purpose: Purpose
  /** Whom we expect there; undefined when only the address is known. */
  readonly member: Member | undefined
  readonly timeoutMs: number
}

export interface Answered {
  /** The caller says with `become` what happens to its frames, before anything else waits. */
  readonly framed: FramedSocket
  readonly welcome: Welcome
  readonly usesOurCertificate: boolean
}

export type Dial = (call: Call) => Promise<Result<Answered, DialProblem>>

export function makeDial(local: LocalNode): Dial {
  return (call) => {
    const parsed = parseHostPort(call.address)
    const address = parsed.ok && parsed.value.port > 0 ? parsed.value : undefined
    if (address === undefined) return Promise.resolve(problem(call, 'address_malformed', 'is not host:port'))
    const host = address.host === '' ? 'localhost' : address.host
    return new Promise((resolve) => new Dialling(local, call, resolve).start(host, address.port))
  }
}

class Dialling {
  readonly #local: LocalNode
  readonly #call: Call
  readonly #resolve: (result: Result<Answered, DialProblem>) => void
  #timer: NodeJS.Timeout | undefined
  #isSettled = false

  constructor(local: LocalNode, call: Call, resolve: (result: Result<Answered, DialProblem>) => void) {
    this.#local = local
    this.#call = call
    this.#resolve = resolve
  }

  start(host: string, port: number): void {
    const { tls } = this.#local
    const socket =
      tls === undefined ? connectTcp({ host, port }) : connectTls({ host, port, ...clientOptions(tls.material(), tls.rules, host) })
    this.#timer = setTimeout(() => {
      this.#settle(problem(this.#call, 'deadline', `did not answer within ${this.#call.timeoutMs} ms`))
      socket.destroy()
    }, this.#call.timeoutMs)
    const early = (error: NodeJS.ErrnoException): void => void this.#settle(failed(this.#call, error))
    socket.once('error', early)
    const closed = (): void => void this.#settle(problem(this.#call, 'unreachable', 'closed the connection'))
    socket.once('close', closed)
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      socket.off('error', early)
      socket.off('close', closed)
      if (socket instanceof TLSSocket && socket.alpnProtocol !== applicationProtocol) {
        this.#settle(problem(this.#call, 'not_a_node', 'does not speak the protocol of nodes'))
        socket.on('error', () => {}).destroy()
      } else this.#sayHello(socket)
    })
  }

  #sayHello(socket: Socket): void {
    const channel = socket instanceof TLSSocket ? channelOf(socket) : new Uint8Array()
    const hello = this.#hello(channel)
    const framed = new FramedSocket(socket, {
      frameBytesMax: helloBytesMax,
      onFrame: (frame) => this.#judge(framed, frame, hello, channel),
      onClose: (why) => void this.#settle(this.#endedEarly(why, socket)),
    })
    framed.write(frameTypes.hello, [encodeHello(hello)])
  }

  /** In TLS 1.3 the server judges our certificate after we believe to be connected (RFC 8446 §4.4.2.4), and Node's server then hangs up without an alert. */
  #endedEarly(why: string, socket: Socket): Result<Answered, DialProblem> {
    if (why === 'frame_too_long' || why === 'frame_empty') return problem(this.#call, 'not_a_node', 'does not speak the protocol of nodes')
    const isSilent = why === 'ended_by_peer' || why === 'closed_by_peer' || why === 'ECONNRESET'
    if (!isSilent || !(socket instanceof TLSSocket)) return failed(this.#call, { code: why })
    return problem(this.#call, 'tls_refused', 'hung up without a word; it may not trust the certificate of this node')
  }

  #hello(channel: Uint8Array): Hello {
    const { nodeId, incarnation, version } = this.#local
    const { purpose, member } = this.#call
    const clusterId = this.#local.clusterId() ?? ''
    const isForMember = memberPurposes.has(purpose) && member !== undefined
    const hello = {
      protocolMin: protocol.min,
      protocolMax: protocol.max,
      purpose,
      clusterId,
      nodeId,
      targetNodeId: member?.id ?? '',
      version,
      // A stranger need not know how often this node was started.
      life: isForMember ? this.#local.life() : noLife,
      nonce: randomBytes(16),
    }
    return { ...hello, proof: isForMember ? prove(incarnation, { says: 'hello', hello, channel }) : noProof }
  }

  #judge(framed: FramedSocket, frame: Frame, hello: Hello, channel: Uint8Array): void {
    const answer = this.#answer(framed, frame, hello, channel)
    if (!this.#settle(answer) || !answer.ok) framed.close('dial_ended')
  }

  #answer(framed: FramedSocket, frame: Frame, hello: Hello, channel: Uint8Array): Result<Answered, DialProblem> {
    if (this.#isSettled) return problem(this.#call, 'not_a_node', 'spoke out of turn')
    if (frame.type === frameTypes.refusal) {
      const refusal = decodeRefusal(frame.body)
      if (refusal !== undefined) return this.#refused(refusal, hello, channel)
    }
    const welcome = frame.type === frameTypes.welcome ? decodeWelcome(frame.body) : undefined
    if (welcome === undefined) return problem(this.#call, 'not_a_node', 'does not speak the protocol of nodes')
    const member = memberPurposes.has(this.#call.purpose) ? this.#call.member : undefined
    const judged = judgeWelcome(welcome, { hello, member, channel })
    if (!judged.ok) return problem(this.#call, judged.problem, `answered as ${welcome.nodeId}: ${judged.problem}`)
    const { tls } = this.#local
    const shares = tls !== undefined && framed.socket instanceof TLSSocket && usesOurCertificate(framed.socket, tls.material())
    return ok({ framed, welcome, usesOurCertificate: shares })
  }

  #refused(refusal: Refusal, hello: Hello, channel: Uint8Array): ReturnType<typeof problem> {
    const judged = judgeRefusal(refusal, { hello, member: this.#call.member, channel })
    if (judged.ok) return problem(this.#call, 'refused', `refused this node: ${judged.value}`, judged.value)
    return problem(this.#call, judged.problem, `said ${refusal.code} without proof of who it is`)
  }

  /** False: it was settled before. */
  #settle(result: Result<Answered, DialProblem>): boolean {
    if (this.#isSettled) return false
    this.#isSettled = true
    clearTimeout(this.#timer)
    this.#resolve(result)
    return true
  }
}

function failed(call: Call, error: { readonly code?: string; readonly message?: string }) {
  const code = error.code ?? 'unknown error'
  // Errors of the system are E and capitals; OpenSSL's alerts are ERR_SSL_…; what remains are the reasons why we do not trust a certificate.
  if (/^E[A-Z0-9]+$/.test(code) || /^[a-z_]+$/.test(code)) return problem(call, 'unreachable', `cannot be reached (${code})`)
  if (code.startsWith('ERR_SSL_')) return problem(call, 'tls_refused', `refused the TLS handshake (${code})`)
  return problem(call, 'certificate_refused', `showed a certificate that is not trusted (${code})`)
}

function problem(
  call: Call,
  code: DialProblem['code'],
  text: string,
  refusal?: HelloRefusal,
): { readonly ok: false; readonly problem: DialProblem } {
  return fail({ code, refusal, message: `${call.address} ${text}` })
}
