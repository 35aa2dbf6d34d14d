// The shell around formation.ts: asks around, does what is decided, asks again, until this node belongs to a cluster that may run.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Adoption } from './adoption.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import { ask } from './conversation.ts'
import { decide, proposalOf, type Decision, type Proposal } from './formation.ts'
import { nodesNamed } from './discovery.ts'
import { pause } from './pause.ts'
import { join, type JoinFailure, type JoinOptions } from './join.ts'
import { raftAddressOf, type JoinAddress } from './join-address.ts'
import { notifyAnswerSchema, proposeAnswerSchema, type NotifyAnswer } from './join-words.ts'
import type { PeerEvent } from './peer-event.ts'

export interface FormationOptions extends Omit<JoinOptions, 'onTrouble'> {
  readonly adoption: Adoption
  /** The addresses come from -disco-mode: fewer than expected may be more tomorrow. */
  readonly isDiscovered: boolean
  readonly hasLog: boolean
  /** `-bootstrap-expect`; undefined: not given. */
  readonly expect: number | undefined
  /** `-bootstrap-expect-timeout`. */
  readonly expectTimeoutMs: number
  /** From 0 up to 1. */
  readonly random: () => number
  readonly isClosed: () => boolean
  readonly onEvent: (event: PeerEvent) => void
}

/**
 * `bootstrap_timeout`: the others did not come in time; starting again continues where it was. `bootstrap_expect_too_few_addresses`, `bootstrap_expect_no_majority`:
 * -join does not name enough nodes, or so many that two clusters could form. `read_only_alone`: a read-only node (-raft-non-voter) has no one to join. `node_id_taken`: two nodes have this id. `closing`: the program ends.
 */
export interface FormationFailure {
  readonly code:
    | JoinFailure['code']
    | 'bootstrap_timeout'
    | 'bootstrap_expect_too_few_addresses'
    | 'bootstrap_expect_no_majority'
    | 'read_only_alone'
    | 'node_id_taken'
    | 'closing'
  readonly message: string
}

const roundMsMin = 200
const roundMsMax = 1_000
const dialMsMax = 2_000
const answerMsMax = 5_000

export async function runFormation(options: FormationOptions): Promise<Result<ClusterIdentity, FormationFailure>> {
  const { adoption, as, expect, isDiscovered } = options
  if (adoption.cluster !== undefined) return formTogether(options)
  const namesNobody = !isDiscovered && (await options.addresses()).length === 0
  if (as === 'read-only') return namesNobody ? fail(readOnlyAlone) : joinAndAdopt(options)
  if (namesNobody && (expect ?? 1) === 1) return formAlone(options)
  return expect === undefined ? joinAndAdopt(options) : formTogether(options)
}

const readOnlyAlone: FormationFailure = {
  code: 'read_only_alone',
  message: '-raft-non-voter needs -join or -disco-mode: it never forms a cluster',
}

/** See the head of formation.ts for the majority. */
function wrongExpectation(
  { self, isDiscovered }: FormationOptions,
  expect: number,
  addresses: readonly JoinAddress[],
): { readonly ok: false; readonly problem: FormationFailure } | undefined {
  const named = new Set(addresses.map((address) => (address.kind === 'raft' ? address.address : address.origin)))
  const namedNodes = isDiscovered ? nodesNamed(addresses) : named.size
  // This node need not name itself; when it does not, it is one more.
  const others = named.has(self.raftAddress) ? namedNodes - 1 : namedNodes
  if (others + 1 < expect && !isDiscovered) {
    const message = `-bootstrap-expect ${expect} needs -join to name at least ${expect - 1} other nodes; it names ${others}`
    return fail({ code: 'bootstrap_expect_too_few_addresses', message })
  }
  if (expect * 2 > namedNodes) return undefined
  const message = `-bootstrap-expect ${expect} must be more than half of the ${namedNodes} nodes that ${isDiscovered ? '-disco-mode finds' : '-join names'}, or two clusters could form`
  return fail({ code: 'bootstrap_expect_no_majority', message })
}

async function formAlone(options: FormationOptions): Promise<Result<ClusterIdentity, FormationFailure>> {
  const { clusterId, membership } = proposalOf([options.self])
  const cluster: ClusterIdentity = { clusterId, members: membership, origin: 'formed' }
  await options.adoption.adopt(cluster)
  options.onEvent({ kind: 'formation', state: 'formed', detail: 'a cluster of one node' })
  return ok(cluster)
}

async function formTogether(options: FormationOptions): Promise<Result<ClusterIdentity, FormationFailure>> {
  const { clock, adoption, expect } = options
  const startedAtMs = clock.monotonicMs()
  let detail = ''
  for (let round = 0; clock.monotonicMs() - startedAtMs < options.expectTimeoutMs; round += 1) {
    if (options.isClosed()) return fail({ code: 'closing', message: 'the program ends' })
    // What needs no answers is decided without asking.
    const isAlone = adoption.cluster !== undefined && decideNow(options, []).kind === 'go'
    const addresses = isAlone ? [] : await options.addresses()
    const mayBeWrong = adoption.cluster === undefined && expect !== undefined
    const wrong = mayBeWrong ? wrongExpectation(options, expect, addresses) : undefined
    if (wrong !== undefined) return wrong
    const decision = decideNow(options, isAlone ? [] : await gather(options, addresses))
    const settled = await act(options, decision)
    if (settled !== undefined) return settled
    const now = decision.kind === 'wait' ? `${decision.why}: ${decision.detail}` : decision.kind
    if (now !== detail) options.onEvent({ kind: 'formation', state: decision.kind === 'wait' ? decision.why : decision.kind, detail: now })
    detail = now
    await pause(clock, Math.min(roundMsMax, roundMsMin * 2 ** Math.min(round, 10)) * (0.5 + options.random() / 2))
  }
  const message = `no cluster within ${options.expectTimeoutMs} ms (-bootstrap-expect-timeout); ${detail}`
  return fail({ code: 'bootstrap_timeout', message })
}

function decideNow(options: FormationOptions, heard: readonly NotifyAnswer[]): Decision {
  const { self, expect, adoption, hasLog } = options
  return decide({ self, expect, own: adoption.cluster, hasLog, heard })
}

/** Undefined: another round. */
async function act(options: FormationOptions, decision: Decision): Promise<Result<ClusterIdentity, FormationFailure> | undefined> {
  switch (decision.kind) {
    case 'go':
      return ok(decision.cluster)
    case 'propose':
      return propose(options, decision.proposal)
    case 'join': {
      const joined = await joinAndAdopt({ ...options, attempts: 1 })
      return !joined.ok && isTransient(joined.problem) ? undefined : joined
    }
    case 'stop':
      return fail({ code: decision.code, message: decision.detail })
    case 'wait':
      return undefined
  }
}

function isTransient(problem: FormationFailure): boolean {
  return problem.code === 'join_exhausted'
}

/** Everyone is asked; only when all others have adopted does the coordinator adopt, last. */
function propose(options: FormationOptions, proposal: Proposal): Promise<Result<ClusterIdentity, FormationFailure> | undefined> {
  const { adoption, dial, self, credentials } = options
  return adoption.whileProposing(async () => {
    if (adoption.cluster !== undefined) return undefined
    const others = proposal.membership.members.filter(({ id }) => id !== self.id)
    const accepted = await Promise.all(
      others.map(async (member) => {
        const question = { clusterId: proposal.clusterId, membership: proposal.membership, credentials }
        const call = { address: member.raftAddress, purpose: 'propose', member, timeoutMs: dialMsMax } as const
        const answer = await ask(dial, call, { question, schema: proposeAnswerSchema, answerTimeoutMs: answerMsMax })
        if (answer.ok && answer.value.accepted) return true
        const why = answer.ok ? answer.value.code : answer.problem.message
        options.onEvent({ kind: 'formation', state: 'not-accepted', detail: `${member.id}: ${why}` })
        return false
      }),
    )
    if (accepted.includes(false)) return undefined
    const cluster: ClusterIdentity = { clusterId: proposal.clusterId, members: proposal.membership, origin: 'formed' }
    if (!(await adoption.adopt(cluster))) return undefined
    options.onEvent({ kind: 'formation', state: 'formed', detail: `${others.length + 1} nodes` })
    return ok(cluster)
  })
}

/** The -join addresses, and once this node has adopted a cluster its members: a restart may come without -join. */
async function gather(options: FormationOptions, named: readonly JoinAddress[]): Promise<readonly NotifyAnswer[]> {
  const { dial, self, credentials, adoption } = options
  const members = adoption.cluster?.members.members ?? []
  const addresses: readonly JoinAddress[] = [
    ...named,
    ...members.map(({ raftAddress }) => ({ kind: 'raft', address: raftAddress }) as const),
  ]
  const heard = await Promise.all(
    addresses.map(async (address): Promise<NotifyAnswer | undefined> => {
      const found = await raftAddressOf(address, { credentials, trust: options.apiTrust })
      if (!found.ok || found.value === self.raftAddress) return undefined
      const call = { address: found.value, purpose: 'notify', member: undefined, timeoutMs: dialMsMax } as const
      const answer = await ask(dial, call, {
        question: { record: self, credentials },
        schema: notifyAnswerSchema,
        answerTimeoutMs: answerMsMax,
      })
      return answer.ok ? answer.value : undefined
    }),
  )
  return heard.filter((answer) => answer !== undefined)
}

async function joinAndAdopt(options: FormationOptions): Promise<Result<ClusterIdentity, FormationFailure>> {
  const onTrouble = (detail: string): void => options.onEvent({ kind: 'formation', state: 'join-trouble', detail })
  const joined = await join({ ...options, onTrouble })
  if (!joined.ok) return joined
  if (await options.adoption.adopt(joined.value)) {
    options.onEvent({ kind: 'formation', state: 'joined', detail: joined.value.clusterId })
    return joined
  }
  return fail({ code: 'join_exhausted', message: 'another cluster took this node while it was joining' })
}
