import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeId } from '../raft/membership.ts'
import type { CheckFinding, CheckReport } from '../replica/check-report.ts'
import { verdictOf, type Verdict } from './check-verdict.ts'

const index = 9
const found = (content: string): CheckFinding => ({ kind: 'found', index, faults: [], content })
const damaged: CheckFinding = { kind: 'found', index, faults: ['row 5 missing from index i'], content: 'a' }
const running: CheckFinding = { kind: 'running', index, phase: 'content' }
const failed: CheckFinding = { kind: 'failed', index, reason: 'too much was written meanwhile' }

/** Voters n1, n2, … with what they have found (undefined: nothing was heard of them), and others. */
function verdict(
  findings: readonly (CheckFinding | undefined)[],
  more: { others?: readonly CheckFinding[]; isPatient?: boolean } = {},
): Verdict {
  const ids = findings.map((_, at) => `n${at + 1}` as NodeId)
  const reports = new Map<NodeId, CheckReport>()
  const put = (id: string, finding: CheckFinding | undefined): void => {
    if (finding !== undefined) reports.set(id as NodeId, { isWanted: false, markIndex: index, verdictIndex: 0, finding })
  }
  for (const [at, finding] of findings.entries()) put(`n${at + 1}`, finding)
  for (const [at, finding] of (more.others ?? []).entries()) put(`r${at + 1}`, finding)
  return verdictOf({ index, voters: new Set(ids), reports, isPatient: more.isPatient ?? true })
}

test('what a majority of all voters has in sound files is right, whoever leads; the others are wrong', () => {
  assert.deepEqual(verdict([found('a'), found('a'), found('a')]), {
    kind: 'right',
    content: 'a',
    sound: ['n1', 'n2', 'n3'],
    wrong: [],
    isWhole: true,
  })
  assert.deepEqual(verdict([found('b'), found('a'), found('a')]), {
    kind: 'right',
    content: 'a',
    sound: ['n2', 'n3'],
    wrong: ['n1'],
    isWhole: true,
  })
  assert.deepEqual(verdict([found('a'), damaged, found('a')]), {
    kind: 'right',
    content: 'a',
    sound: ['n1', 'n3'],
    wrong: ['n2'],
    isWhole: true,
  })
  assert.deepEqual(verdict([found('a')]), { kind: 'right', content: 'a', sound: ['n1'], wrong: [], isWhole: true })
})

test('a majority needs nobody else; without one, whoever is looking, or was not heard of, is waited for', () => {
  assert.deepEqual(verdict([found('a'), found('a'), running]), {
    kind: 'right',
    content: 'a',
    sound: ['n1', 'n2'],
    wrong: [],
    isWhole: false,
  })
  assert.deepEqual(verdict([found('a'), found('a'), undefined]), {
    kind: 'right',
    content: 'a',
    sound: ['n1', 'n2'],
    wrong: [],
    isWhole: false,
  })
  for (const open of [running, undefined]) assert.deepEqual(verdict([found('a'), found('b'), open]), { kind: 'open' })
  assert.deepEqual(verdict([found('a'), found('b'), undefined], { isPatient: false }), { kind: 'unclear' })
})

test('two that differ are no majority, and neither are three', () => {
  for (const findings of [
    [found('a'), found('b')],
    [found('a'), found('b'), found('c')],
    [found('a'), found('b'), failed],
  ])
    assert.deepEqual(verdict(findings), { kind: 'unclear' })
  // A majority of those that have looked is not one of all.
  assert.deepEqual(verdict([found('a'), found('a'), found('b'), failed, failed]), { kind: 'unclear' })
})

test('where fewer than a majority could look there is nothing that a person could decide: it is tried again', () => {
  for (const findings of [
    [failed, failed, failed],
    [found('a'), failed, failed],
    [damaged, failed, failed],
    [found('a'), failed],
    [failed],
    [found('a'), found('a'), failed, failed],
    [found('a'), found('b'), failed, failed, failed],
  ])
    assert.deepEqual(verdict(findings), { kind: 'failed' })
  assert.deepEqual(verdict([found('a'), undefined, undefined], { isPatient: false }), { kind: 'failed' })
  // Replicas do not make a majority.
  assert.deepEqual(verdict([found('a'), failed, failed], { others: [found('a'), found('b')] }), { kind: 'failed' })
})

test('one sound file among files that are damaged in themselves is right without a majority; unless somebody was not heard of', () => {
  assert.deepEqual(verdict([found('a'), damaged]), { kind: 'right', content: 'a', sound: ['n1'], wrong: ['n2'], isWhole: true })
  assert.deepEqual(verdict([found('a'), damaged, damaged]), {
    kind: 'right',
    content: 'a',
    sound: ['n1'],
    wrong: ['n2', 'n3'],
    isWhole: true,
  })
  assert.deepEqual(verdict([found('a'), damaged, undefined], { isPatient: false }), { kind: 'unclear' })
  assert.deepEqual(verdict([found('a'), damaged, failed]), { kind: 'unclear' })
})

test('one sound file never outvotes files that hold the same, whatever faults they have: their indexes may be at fault, and its data', () => {
  const faulty = (content: string | undefined): CheckFinding => ({ kind: 'found', index, faults: ['row 5 missing from index i'], content })
  assert.deepEqual(verdict([faulty('x'), faulty('x'), found('y')]), { kind: 'unclear' })
  assert.deepEqual(verdict([faulty('x'), faulty('x'), faulty('z'), faulty(undefined), found('y')]), { kind: 'unclear' })
  assert.deepEqual(verdict([faulty('x'), faulty('x'), faulty('x'), found('y'), found('y')]), { kind: 'unclear' })
  // Those that are damaged do not agree, or with the sound one.
  for (const others of [
    [faulty('x'), faulty('z')],
    [faulty('y'), faulty('x')],
    [faulty(undefined), faulty(undefined)],
  ]) {
    assert.deepEqual(verdict([...others, found('y')]), { kind: 'right', content: 'y', sound: ['n3'], wrong: ['n1', 'n2'], isWhole: true })
  }
})

test('where all files have the same faults nothing is right: nobody could mend anybody', () => {
  assert.deepEqual(verdict([damaged, damaged, damaged]), { kind: 'unclear' })
  assert.deepEqual(verdict([damaged]), { kind: 'unclear' })
})

test('read replicas are judged and do not judge', () => {
  const replicas = { others: [found('b'), found('b'), found('b')] }
  assert.deepEqual(verdict([found('a'), found('a'), failed], replicas), {
    kind: 'right',
    content: 'a',
    sound: ['n1', 'n2'],
    wrong: ['r1', 'r2', 'r3'],
    isWhole: true,
  })
})

test('what was found behind another entry is not compared', () => {
  const earlier: CheckFinding = { kind: 'found', index: index - 1, faults: [], content: 'a' }
  assert.deepEqual(verdict([found('a'), earlier, earlier]), { kind: 'open' })
})
