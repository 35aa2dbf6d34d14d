// Who may speak with whom: the production's hello, its answer, the directory of members and the marks of lives, without sockets. Made once for each pair of lives and
// again after each reset, as connections are.
import { judgeHello, judgeWelcome, noProof, prove, protocol, type Hello } from '../peer/hello.ts'
import { LifeMarks, isPromise } from '../peer/life-marks.ts'
import { MemberDirectory } from '../peer/member-directory.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Message } from '../raft/message.ts'
import { randomBytesFrom, type Chance } from './chance.ts'

export type Introduced = 'welcome' | 'stranger' | 'refused' | 'removed' | 'rolled_back'

/** One process, as it introduces itself and judges others. */
export class Introducer {
  readonly id: NodeId
  readonly incarnation: string
  readonly clusterId: string
  readonly directory: MemberDirectory
  readonly marks = new LifeMarks()
  readonly #process: Uint8Array
  /** The newest life of each that has been let in. */
  readonly #heard = new Map<NodeId, number>()
  readonly #chance: Chance
  /** Of its disk, when it is asked. */
  readonly #disk: () => { readonly number: number; readonly term: number; readonly isUntrusted: boolean }

  constructor(options: {
    readonly id: NodeId
    readonly incarnation: string
    readonly clusterId: string
    readonly members: Membership
    readonly origin: 'formed' | 'joined'
    readonly chance: Chance
    readonly disk: () => { readonly number: number; readonly term: number; readonly isUntrusted: boolean }
  }) {
    this.id = options.id
    this.incarnation = options.incarnation
    this.clusterId = options.clusterId
    this.directory = new MemberDirectory(options.id)
    this.directory.begin(options)
    this.#chance = options.chance
    this.#process = randomBytesFrom(options.chance, 8)
    this.#disk = options.disk
  }

  /** `vouch`: asks the members whom the called one knows; undefined: nobody vouches. */
  introduceTo(called: Introducer, vouch: () => void): Introduced {
    const member = this.directory.member(called.id)
    const hello = this.#helloTo(called.id)
    let refusal = judgeHello(hello, called.#asCalled(), noChannel)
    if (refusal === 'unknown_member') {
      vouch()
      refusal = judgeHello(hello, called.#asCalled(), noChannel)
    }
    if (refusal === 'removed_member') return 'removed'
    if (refusal !== undefined) return refusal === 'unknown_member' ? 'stranger' : 'refused'
    const caller = called.directory.member(this.id)
    if (caller !== undefined && called.marks.judge(caller, hello.life) !== undefined) return 'rolled_back'
    called.#heard.set(this.id, hello.life.number)
    const proof = prove(called.incarnation, { says: 'welcome', hello, channel: noChannel })
    const welcome = { protocol: protocol.max, clusterId: called.clusterId, nodeId: called.id, version: '1', proof }
    return judgeWelcome(welcome, { hello, member, channel: noChannel }).ok ? 'welcome' : 'refused'
  }

  /** A message of another's process has arrived. */
  hears(from: Introducer, message: Message): void {
    const member = this.directory.member(from.id)
    if (member !== undefined && isPromise(message)) this.marks.promised(member, { process: from.#process, term: message.term })
  }

  /** Of a life of that number, or a later one. */
  hasHeardOf(id: NodeId, number: number): boolean {
    return (this.#heard.get(id) ?? 0) >= number
  }

  #helloTo(target: NodeId): Hello {
    const life = { ...this.#disk(), process: this.#process }
    const said = {
      protocolMin: protocol.min,
      protocolMax: protocol.max,
      purpose: 'raft',
      clusterId: this.clusterId,
      nodeId: this.id,
      targetNodeId: target,
      version: '1',
      life,
      nonce: randomBytesFrom(this.#chance, 16),
    } as const
    const hello = { ...said, proof: noProof }
    return { ...said, proof: prove(this.incarnation, { says: 'hello', hello, channel: noChannel }) }
  }

  #asCalled(): Parameters<typeof judgeHello>[1] {
    return {
      nodeId: this.id,
      incarnation: this.incarnation,
      clusterId: this.clusterId,
      member: (id) => this.directory.member(id),
      removed: (id) => this.directory.removed(id),
    }
  }
}

const noChannel = new Uint8Array(0)
