// The protocol without sockets: nodes with durable identities, conversations in an order that a seed chooses, and a crash or a wipe at every step.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from '../raft/membership.ts'
import { seededRandom } from '../raft/seeded-random.ts'
import type { ClusterIdentity } from './cluster-identity.ts'
import { clusterIdOf, decide, isConfirmed, judgeProposal, proposalOf, type Decision, type Proposal } from './formation.ts'
import type { NodeRecord, NotifyAnswer } from './join-words.ts'

function record(id: string, incarnation = `${id}-1`): NodeRecord {
  return { id: id as NodeId, incarnation, raftAddress: `${id}:4002`, apiUrl: `https://${id}:4001` }
}

class Founder {
  record: NodeRecord
  cluster: ClusterIdentity | undefined
  hasLog = false
  wipes = 0
  readonly expect: number

  constructor(id: string, expect: number) {
    this.record = record(id)
    this.expect = expect
  }

  answer(): NotifyAnswer {
    if (this.cluster === undefined) return { kind: 'unformed', record: this.record }
    const { clusterId, members } = this.cluster
    if (isConfirmed(this.cluster, this.record.id, this.hasLog)) return { kind: 'running', clusterId }
    return { kind: 'adopted', record: this.record, clusterId, membership: members }
  }

  decide(heard: readonly NotifyAnswer[]): Decision {
    return decide({ self: this.record, expect: this.expect, own: this.cluster, hasLog: this.hasLog, heard })
  }

  hear(proposal: Proposal, proposer: NodeId): boolean {
    const refusal = judgeProposal(proposal, { self: this.record, expect: this.expect, own: this.cluster, proposer })
    if (refusal !== undefined) return false
    this.cluster ??= { clusterId: proposal.clusterId, members: proposal.membership, origin: 'formed' }
    return true
  }

  wipe(): void {
    this.wipes += 1
    this.record = record(this.record.id, `${this.record.id}-${this.wipes + 1}`)
    this.cluster = undefined
    this.hasLog = false
  }
}

/** One action of the world at a time; `random` chooses which, and whether each conversation happens. Returns what ran. */
function run(
  nodes: readonly Founder[],
  options: { steps: number; random: () => number; loss: number; crash: number; wipe?: number },
): Map<string, Set<string>> {
  const { random, loss, crash } = options
  /** Cluster id -> incarnations that ran in it at any time. */
  const ran = new Map<string, Set<string>>()
  const delayed: { readonly to: Founder; readonly proposal: Proposal; readonly from: NodeId }[] = []
  const step = (): void => {
    const node = nodes[Math.floor(random() * nodes.length)]!
    if (random() < (options.wipe ?? 0)) return node.wipe()
    // A proposal that stayed in the network while its sender crashed arrives late.
    if (delayed.length > 0 && random() < 0.2) {
      const [late] = delayed.splice(Math.floor(random() * delayed.length), 1)
      return void late?.to.hear(late.proposal, late.from)
    }
    const heard = nodes.filter(() => random() >= loss).map((other) => other.answer())
    const decision = node.decide(heard)
    if (decision.kind === 'go') {
      node.hasLog = true
      const { clusterId } = decision.cluster
      ran.set(clusterId, (ran.get(clusterId) ?? new Set()).add(node.record.incarnation))
    }
    if (decision.kind !== 'propose') return undefined
    const { proposal } = decision
    let accepted = 0
    for (const member of proposal.membership.members) {
      if (member.id === node.record.id) continue
      if (random() < crash) return undefined
      const other = nodes.find(({ record }) => record.id === member.id)!
      if (random() < loss) delayed.push({ to: other, proposal, from: node.record.id })
      else if (other.hear(proposal, node.record.id)) accepted += 1
    }
    if (accepted < proposal.membership.members.length - 1 || random() < crash) return undefined
    node.cluster = { clusterId: proposal.clusterId, members: proposal.membership, origin: 'formed' }
    return undefined
  }
  for (let n = 0; n < options.steps; n += 1) step()
  return ran
}

/** In [0, 1). */
function seeded(seed: number): () => number {
  const draw = seededRandom(seed)
  return () => draw(2 ** 30) / 2 ** 30
}

function founders(ids: string, expect: number): readonly Founder[] {
  return Array.from(ids, (id) => new Founder(id, expect))
}

test('three nodes become one cluster with the same members, whatever is lost and whoever crashes between any two steps', () => {
  for (let seed = 1; seed <= 400; seed += 1) {
    const nodes = founders('abc', 3)
    const random = seeded(seed)
    const ran = run(nodes, { steps: 150, random, loss: 0.3, crash: 0.3 })
    for (const [id, incarnations] of run(nodes, { steps: 100, random, loss: 0, crash: 0 })) ran.set(id, incarnations)
    assert.deepEqual(Array.from(ran.keys()), [nodes[0]!.cluster?.clusterId], `seed ${seed}`)
    assert.deepEqual(new Set(nodes.map(({ cluster }) => JSON.stringify(cluster))).size, 1, `seed ${seed}`)
    assert(
      nodes.every(({ hasLog }) => hasLog),
      `seed ${seed}: all run`,
    )
  }
})

test('no cluster runs before every founder has adopted it, whoever is wiped at any moment', () => {
  let formed = 0
  for (let seed = 1; seed <= 400; seed += 1) {
    const nodes = founders('abcde', 5)
    const ran = run(nodes, { steps: 300, random: seeded(seed), loss: 0.2, crash: 0.2, wipe: 0.01 })
    formed += ran.size
    // Two clusters may have run one after the other only when no data directory belongs to both.
    const all = Array.from(ran.values()).flatMap((incarnations) => Array.from(incarnations))
    assert.equal(new Set(all).size, all.length, `seed ${seed}: a data directory ran in two clusters`)
    const alive = Array.from(ran).filter(
      ([clusterId]) => nodes.filter(({ cluster, hasLog }) => hasLog && cluster?.clusterId === clusterId).length >= 3,
    )
    assert(alive.length <= 1, `seed ${seed}: two clusters with a majority each`)
  }
  assert(formed > 200, `only ${formed} clusters formed: the test would show nothing`)
})

test('nodes that see different sets of N never form two clusters', () => {
  let formed = 0
  for (let seed = 1; seed <= 400; seed += 1) {
    const ran = run(founders('abcde', 3), { steps: 200, random: seeded(seed), loss: 0.4, crash: 0.2 })
    formed += ran.size
    assert(ran.size <= 1, `seed ${seed}: ${ran.size} clusters`)
  }
  assert(formed > 200, `only ${formed} clusters formed: the test would show nothing`)
})

test('a coordinator that crashed after others had adopted proposes again what they have adopted', () => {
  const [a, b, c] = founders('abc', 3) as [Founder, Founder, Founder]
  const first = a.decide([b.answer(), c.answer()])
  assert.equal(first.kind, 'propose')
  assert(first.kind === 'propose' && b.hear(first.proposal, a.record.id))
  const again = a.decide([b.answer(), c.answer()])
  assert.deepEqual(again, first)
})

test('a founder that has adopted waits until the coordinator has adopted too', () => {
  const [a, b, c] = founders('abc', 3) as [Founder, Founder, Founder]
  const proposal = proposalOf([a.record, b.record, c.record])
  assert(b.hear(proposal, a.record.id))
  assert.equal(b.decide([a.answer(), c.answer()]).kind, 'wait')
  assert(c.hear(proposal, a.record.id))
  assert.equal(b.decide([a.answer(), c.answer()]).kind, 'wait')
  a.cluster = { clusterId: proposal.clusterId, members: proposal.membership, origin: 'formed' }
  assert.equal(b.decide([a.answer(), c.answer()]).kind, 'go')
})

test('a restarted founder whose log is not empty goes on without asking anyone', () => {
  const [a, b, c] = founders('abc', 3) as [Founder, Founder, Founder]
  const { clusterId, membership } = proposalOf([a.record, b.record, c.record])
  b.cluster = { clusterId, members: membership, origin: 'formed' }
  b.hasLog = true
  assert.equal(b.decide([]).kind, 'go')
})

test('a proposal is refused unless it lists this node as it is, has N members, the right id and comes from its coordinator', () => {
  const [a, b, c, d] = founders('abcd', 3) as [Founder, Founder, Founder, Founder]
  const good = proposalOf([a.record, b.record, c.record])
  const at = { self: b.record, expect: 3, own: undefined, proposer: a.record.id }
  const own: ClusterIdentity = { clusterId: 'another', members: good.membership, origin: 'formed' }
  assert.equal(judgeProposal(good, at), undefined)
  assert.equal(judgeProposal({ ...good, clusterId: 'f'.repeat(32) }, at), 'proposal_malformed')
  assert.equal(judgeProposal(proposalOf([a.record, record('b', 'b-0'), c.record]), at), 'lists_another_me')
  assert.equal(judgeProposal(proposalOf([a.record, { ...b.record, raftAddress: 'elsewhere:1' }, c.record]), at), 'lists_another_me')
  assert.equal(judgeProposal(proposalOf([a.record, c.record, d.record]), at), 'lists_another_me')
  assert.equal(judgeProposal(proposalOf([a.record, b.record]), at), 'other_expectation')
  assert.equal(judgeProposal(good, { ...at, expect: undefined }), 'other_expectation')
  assert.equal(judgeProposal(good, { ...at, proposer: c.record.id }), 'not_its_coordinator')
  assert.equal(judgeProposal(good, { ...at, self: a.record, proposer: a.record.id }), 'proposes_itself')
  assert.equal(judgeProposal(good, { ...at, own }), 'adopted_another')
  assert.equal(judgeProposal(good, { ...at, own: { ...own, clusterId: good.clusterId } }), undefined)
  const learner = { members: good.membership.members.map((member) => ({ ...member, suffrage: 'learner' as const })) }
  assert.equal(judgeProposal({ clusterId: clusterIdOf(learner), membership: learner }, at), 'proposal_malformed')
})

test('a node that meets a running cluster asks to join it and forms none', () => {
  const [a, b, c] = founders('abc', 3) as [Founder, Founder, Founder]
  const running: NotifyAnswer = { kind: 'running', clusterId: 'x' }
  assert.equal(a.decide([running, b.answer(), c.answer()]).kind, 'join')
})

test('founders who miss one whose data was lost before completion say so instead of forming without it', () => {
  const [a, b, c] = founders('abc', 3) as [Founder, Founder, Founder]
  const proposal = proposalOf([a.record, b.record, c.record])
  assert(b.hear(proposal, a.record.id) && c.hear(proposal, a.record.id))
  a.wipe()
  const decision = b.decide([a.answer(), c.answer()])
  assert(decision.kind === 'wait' && decision.why === 'founder_lost')
  assert.notEqual(a.decide([b.answer(), c.answer()]).kind, 'propose')
})

test('two nodes with one id stop instead of taking turns', () => {
  const [a] = founders('a', 1) as [Founder]
  const decision = a.decide([{ kind: 'unformed', record: record('a', 'another') }])
  assert.equal(decision.kind, 'stop')
})
