// The joiner's side: asks the -join addresses one after another, follows to the leader, tries again, and adopts the cluster that takes it.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Clock } from '../replica/clock.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import { ask } from './conversation.ts'
import { raftAddressOf, type ApiTrust, type JoinAddress } from './join-address.ts'
import {
  finalJoinProblems,
  joinAnswerSchema,
  type Credentials,
  type JoinKind,
  type JoinProblemCode,
  type NodeRecord,
} from './join-words.ts'
import { pause } from './pause.ts'
import type { Dial } from './peer-dialer.ts'

export interface JoinOptions {
  readonly self: NodeRecord
  readonly as: JoinKind
  /** Asked anew in each round: names may lead elsewhere by then. */
  readonly addresses: () => Promise<readonly JoinAddress[]>
  /** `-join-attempts`: rounds over all addresses; `-join-interval`: between them. */
  readonly attempts: number
  readonly intervalMs: number
  /** `-join-as` and its password from the local access file, when there is one. */
  readonly credentials: Credentials | undefined
  readonly apiTrust: ApiTrust
  readonly dial: Dial
  readonly clock: Clock
  /** Each address that did not take us, and why. */
  readonly onTrouble: (trouble: string) => void
}

/** `join_exhausted`: all attempts failed, the message has the last reason. The others are the cluster's final word. */
export interface JoinFailure {
  readonly code: 'join_exhausted' | JoinProblemCode
  readonly message: string
}

// As many as rqlite follows; a cluster needs one.
const redirectsMax = 10
const dialMsMax = 5_000
/** The leader waits up to ten seconds for the commit. */
const answerMsMax = 15_000

export async function join(options: JoinOptions): Promise<Result<ClusterIdentity, JoinFailure>> {
  let last = 'no address was tried'
  for (let attempt = 1; attempt <= options.attempts; attempt += 1) {
    for (const address of await options.addresses()) {
      const joined = await joinAt(options, address)
      if (joined.ok) return joined
      const { code, message } = joined.problem
      if (code !== 'join_exhausted' && finalJoinProblems.has(code)) return joined
      last = message
      options.onTrouble(message)
    }
    if (attempt < options.attempts) await pause(options.clock, options.intervalMs)
  }
  return fail({ code: 'join_exhausted', message: `not joined after ${options.attempts} attempts; the last said: ${last}` })
}

async function joinAt(options: JoinOptions, joinAddress: JoinAddress): Promise<Result<ClusterIdentity, JoinFailure>> {
  const found = await raftAddressOf(joinAddress, { credentials: options.credentials, trust: options.apiTrust })
  if (!found.ok) return fail({ code: 'join_exhausted', message: found.problem.message })
  const credentials = (joinAddress.kind === 'api' ? joinAddress.credentials : undefined) ?? options.credentials
  let address = found.value
  for (let redirects = 0; redirects <= redirectsMax; redirects += 1) {
    const answer = await ask(
      options.dial,
      { address, purpose: 'join', member: undefined, timeoutMs: dialMsMax },
      { question: { record: options.self, as: options.as, credentials }, schema: joinAnswerSchema, answerTimeoutMs: answerMsMax },
    )
    if (!answer.ok) return fail({ code: 'join_exhausted', message: answer.problem.message })
    const said = answer.value
    if (said.kind === 'refused') return fail({ code: said.code, message: `${address} refused: ${said.code}: ${said.message}` })
    if (said.kind === 'joined') {
      const isListed = said.membership.members.some(
        ({ id, incarnation }) => id === options.self.id && incarnation === options.self.incarnation,
      )
      if (!isListed) return fail({ code: 'join_exhausted', message: `${address} took us in but does not list us` })
      return ok({ clusterId: said.clusterId, members: said.membership, origin: 'joined' })
    }
    address = said.address
  }
  return fail({ code: 'join_exhausted', message: `${address} sent us on for the ${redirectsMax}th time` })
}
