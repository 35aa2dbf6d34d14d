import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import { ok } from '../../runtime/result.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { RaftStatus } from '../raft/raft-port.ts'
import type { CheckFinding, CheckReport, CheckResult } from '../replica/check-report.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import { ContentChecks } from './content-checks.ts'

const logger = makeLogger({ level: 'silent' })
const ids = ['n1', 'n2', 'n3'] as NodeId[]
const membership: Membership = {
  members: ids.map((id) => ({ id, incarnation: 'i', raftAddress: `${id}:1`, apiUrl: `https://${id}:2`, suffrage: 'voter' })),
}
const hour = 3_600_000

/** n1, which leads, with two others; what each has found is what the test says. */
class Scene {
  readonly clock = new ManualClock()
  readonly proposed: string[] = []
  readonly heirs: unknown[] = []
  readonly metrics = new Metrics()
  leads = true
  own: CheckReport = { isWanted: false, markIndex: 0, verdictIndex: 0, finding: { kind: 'none' } }
  others: (CheckReport | undefined)[] = [this.own, this.own]
  tell: (result: CheckResult) => void = () => {}
  readonly checks: ContentChecks

  constructor(options: { readonly intervalMs?: number } = {}) {
    this.checks = new ContentChecks({
      replica: {
        leads: () => this.leads,
        standing: () => 'member',
        status: () => ({ id: ids[0], membership }) as RaftStatus, // all that is asked of it
        transferLeadership: ({ to }) => {
          this.heirs.push(to)
          return Promise.resolve(ok(undefined))
        },
      },
      propose: (payload) => {
        this.proposed.push(Buffer.from(payload).toString())
        return Promise.resolve(ok({ index: 5, term: 1, outcome: undefined }))
      },
      own: {
        report: () => this.own,
        result: () => 'none',
        onResult: (listener) => {
          this.tell = listener
        },
      },
      ask: (member) => Promise.resolve(this.others[ids.indexOf(member) - 1]),
      encode: (mark) => {
        if (mark.kind === 'begin') return Buffer.from('begin')
        return Buffer.from(`${mark.index}: ${mark.kind === 'given-up' ? mark.kind : (mark.content ?? 'unclear')}`)
      },
      intervalMs: options.intervalMs ?? 24 * hour,
      clock: this.clock,
      logger,
      metrics: this.metrics,
    })
  }

  async wait(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1_000) {
      this.clock.advance(1_000)
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
    }
  }

  /** All know of the check behind entry 5. */
  found(...findings: readonly CheckFinding[]): void {
    const [own, ...others] = findings.map((finding): CheckReport => ({ isWanted: false, markIndex: 5, verdictIndex: 0, finding }))
    assert(own !== undefined)
    this.own = own
    this.others = others
  }
}

const found = (content: string): CheckFinding => ({ kind: 'found', index: 5, faults: [], content })

test('the leader begins a check in its interval, and nobody else does', async () => {
  const scene = new Scene({ intervalMs: 2 * hour })
  scene.leads = false
  await scene.wait(3 * hour)
  assert.deepEqual(scene.proposed, [])
  scene.leads = true
  await scene.wait(2_000)
  assert.equal(scene.proposed[0], 'begin')
  const never = new Scene({ intervalMs: 0 })
  never.own = { ...never.own, isWanted: true }
  await never.wait(3 * hour)
  assert.deepEqual(never.proposed, [])
  scene.checks.close()
  never.checks.close()
})

test('a member that was not closed as usual is looked at soon, not at once, and not over and over', async () => {
  const scene = new Scene()
  scene.others = [{ ...scene.own, isWanted: true }, undefined]
  await scene.wait(59_000)
  assert.deepEqual(scene.proposed, [])
  await scene.wait(20_000)
  assert.equal(scene.proposed[0], 'begin')
  // It is under way, then judged; the member was killed again meanwhile.
  scene.own = { ...scene.own, markIndex: 5, verdictIndex: 5 }
  await scene.wait(2_000)
  scene.proposed.length = 0
  await scene.wait(9 * 60_000)
  assert.deepEqual(scene.proposed, [])
  await scene.wait(2 * 60_000)
  assert.equal(scene.proposed[0], 'begin')
  scene.checks.close()
})

test('after one that could not be carried out the next comes an hour later', async () => {
  const scene = new Scene()
  scene.own = { ...scene.own, isWanted: true, markIndex: 5, verdictIndex: 5 }
  await scene.wait(1_000)
  scene.tell('failed')
  await scene.wait(59 * 60_000)
  assert.deepEqual(scene.proposed, [])
  await scene.wait(2 * 60_000)
  assert.equal(scene.proposed[0], 'begin')
  scene.checks.close()
})

test('a leader that has what most have says so in the log', async () => {
  const scene = new Scene()
  scene.found(found('a'), { kind: 'running', index: 5, phase: 'structure' }, found('b'))
  await scene.wait(20 * 60_000)
  assert.deepEqual(scene.proposed, [], 'whoever is still looking is waited for')
  scene.found(found('a'), found('a'), found('b'))
  await scene.wait(1_000)
  assert.deepEqual([scene.proposed, scene.heirs], [['5: a'], []])
  scene.checks.close()
})

test('a leader that is wrong, or does not know, gives no verdict while somebody must be mended: it hands over to one that is right', async () => {
  for (const own of [found('b'), { kind: 'failed', index: 5, reason: 'no room' }] as const) {
    const scene = new Scene()
    scene.found(own, found('a'), found('a'))
    await scene.wait(1_000)
    if (own.kind === 'found') assert.deepEqual([scene.proposed, scene.heirs], [[], ['n2']])
    else assert.deepEqual([scene.proposed, scene.heirs], [['5: a'], []], 'nobody is wrong, as far as is known')
    scene.checks.close()
  }
})

test('whoever asks for a check while one is under way gets that one, or none would ever end; one that nothing is heard of any more is begun anew', async () => {
  const scene = new Scene()
  const begin = async (): Promise<number> => {
    const begun = await scene.checks.begin({ timeoutMs: 1_000 })
    assert(begun.ok)
    return begun.value.index
  }
  assert.deepEqual(await Promise.all([begin(), begin(), begin()]), [5, 5, 5])
  assert.deepEqual(scene.proposed.splice(0), ['begin'], 'also of those that come before it stands in the log')
  scene.found({ kind: 'running', index: 5, phase: 'content' }, found('a'), found('a'))
  scene.own = { ...scene.own, markIndex: 4 } // which propose() does not give
  assert.equal(await begin(), 4)
  await scene.wait(3 * hour)
  assert.equal(await begin(), 4)
  assert.deepEqual(scene.proposed, [])
  scene.own = { ...scene.own, verdictIndex: 4 }
  assert.equal(await begin(), 5)
  assert.deepEqual(scene.proposed.splice(0), ['begin'])
  scene.leads = false
  scene.own = { ...scene.own, markIndex: 7 }
  await scene.wait(30 * 60_000)
  scene.leads = true
  assert.equal(await begin(), 7)
  scene.leads = false
  await scene.wait(31 * 60_000)
  scene.leads = true
  assert.equal(await begin(), 5)
  scene.checks.close()
})

test('without a majority the verdict is that it is unclear', async () => {
  const scene = new Scene()
  scene.found(found('a'), found('b'), found('c'))
  await scene.wait(1_000)
  assert.deepEqual([scene.proposed, scene.heirs], [['5: unclear'], []])
  scene.checks.close()
})

test('where too few could look the check is given up, and nobody is asked to decide', async () => {
  const scene = new Scene()
  const failed: CheckFinding = { kind: 'failed', index: 5, reason: 'too much was written meanwhile' }
  scene.found(found('a'), failed, failed)
  await scene.wait(1_000)
  assert.deepEqual([scene.proposed, scene.heirs], [['5: given-up'], []])
  scene.checks.close()
})

test('who is not heard of is given up after five minutes', async () => {
  const scene = new Scene()
  scene.found(found('a'), found('b'))
  await scene.wait(4 * 60_000)
  assert.deepEqual(scene.proposed, [])
  await scene.wait(2 * 60_000)
  assert.equal(scene.proposed[0], '5: unclear')
  scene.checks.close()
})
