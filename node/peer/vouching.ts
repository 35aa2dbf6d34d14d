// A node may be behind: a new member, even a leader, can be one by an entry that this node has not applied, and refusing it would keep the entry from ever arriving
// (the new leader is the only one who could send it). So before a stranger of our cluster is refused, the members that we know are asked whether it is one of theirs.
// They answer from what they have applied. Members do not lie in Raft's model; what they can be is behind, which only makes them say no. One who was removed here is
// never taken back by word of mouth.
import { z } from 'zod'
import type { Member, NodeId } from '../raft/membership.ts'
import { parseMembership } from '../raft/membership-codec.ts'
import type { Clock } from '../replica/clock.ts'
import { ask, type Answerer } from './conversation.ts'
import type { MemberDirectory } from './member-directory.ts'
import type { Dial } from './peer-dialer.ts'
import type { PeerEvent } from './peer-event.ts'

const questionSchema = z.strictObject({ id: z.string().min(1).max(255) })
const answerSchema = z.strictObject({ members: z.array(z.unknown()).max(1) })

/** The caller waits for its welcome meanwhile. */
const vouchMsMax = 2_000
/** Strangers must not make this node call its members more often than this. */
const vouchIntervalMs = 1_000

export class Vouching {
  readonly #options: {
    readonly directory: MemberDirectory
    readonly dial: Dial
    readonly clock: Clock
    readonly onEvent: (event: PeerEvent) => void
  }
  #askedAtMs = -Infinity
  #pending: Promise<void> | undefined

  constructor(options: {
    readonly directory: MemberDirectory
    readonly dial: Dial
    readonly clock: Clock
    readonly onEvent: (event: PeerEvent) => void
  }) {
    this.#options = options
  }

  /** Resolves when the directory knows as much as the members can tell; soon and without effect when they were asked just now. */
  about(id: NodeId): Promise<void> {
    const { clock } = this.#options
    if (this.#pending !== undefined || clock.monotonicMs() - this.#askedAtMs < vouchIntervalMs) return Promise.resolve()
    this.#askedAtMs = clock.monotonicMs()
    this.#pending = this.#ask(id).finally(() => {
      this.#pending = undefined
    })
    return this.#pending
  }

  async #ask(id: NodeId): Promise<void> {
    const { directory, onEvent } = this.#options
    await Promise.all(
      directory.others().map(async (member) => {
        const found = await this.#askOne(member, id)
        if (found !== undefined && directory.vouch(found)) onEvent({ kind: 'vouched', id, by: member.id })
      }),
    )
  }

  async #askOne(member: Member, id: NodeId): Promise<Member | undefined> {
    const call = { address: member.raftAddress, purpose: 'vouch', member, timeoutMs: vouchMsMax } as const
    const answer = await ask(this.#options.dial, call, { question: { id }, schema: answerSchema, answerTimeoutMs: vouchMsMax })
    const membership = answer.ok ? parseMembership({ members: answer.value.members }) : undefined
    const found = membership?.ok === true ? membership.value.members[0] : undefined
    return found?.id === id ? found : undefined
  }
}

/** The other end: says what this node has applied. */
export function vouchAnswerer(directory: MemberDirectory): Answerer {
  return (question) => {
    const asked = questionSchema.safeParse(question)
    if (!asked.success) return Promise.resolve(undefined)
    const member = directory.known(asked.data.id as NodeId)
    return Promise.resolve({ members: member === undefined ? [] : [member] })
  }
}
