import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import type { NodeId } from '../raft/membership.ts'
import type { Life } from './hello.ts'
import { LifeMarks } from './life-marks.ts'

const member = { id: 'b' as NodeId, incarnation: 'one' }

function life(number: number, term: number, more: Partial<Life> = {}): Life {
  return { number, process: Buffer.alloc(8, number), term, isUntrusted: false, ...more }
}

function marked(...heard: readonly Life[]): LifeMarks {
  const marks = new LifeMarks()
  for (const one of heard) assert.equal(marks.judge(member, one), undefined)
  return marks
}

test('a disk that was put back to an earlier life is refused', () => {
  assert.equal(marked(life(5, 9)).judge(member, life(4, 9, { process: life(5, 9).process })), 'rolled_back')
})

test('of two processes that counted on from the same disk the second is refused', () => {
  assert.equal(marked(life(5, 9)).judge(member, life(5, 9, { process: randomBytes(8) })), 'rolled_back')
})

test('a disk that has lost a term is refused, even when it counts its lives elsewhere', () => {
  assert.equal(marked(life(5, 9)).judge(member, life(6, 8)), 'rolled_back')
  assert.equal(marked(life(5, 9), life(5, 12), life(5, 10)).judge(member, life(6, 11)), 'rolled_back')
})

test('a term in which an earlier life has promised something must be on the disk of a later one', () => {
  const marks = marked(life(5, 9))
  const { process } = life(5, 9)
  marks.promised(member, { process, term: 12 })
  marks.promised(member, { process, term: 11 })
  assert.equal(marks.judge(member, life(5, 9)), undefined)
  assert.equal(marks.judge(member, life(6, 11)), 'rolled_back')
  assert.equal(marks.judge(member, life(6, 12)), undefined)
  // What still arrives of the dead one says nothing of the living one.
  marks.promised(member, { process, term: 20 })
  marks.promised({ ...member, incarnation: 'two' }, { process: life(6, 0).process, term: 20 })
  assert.equal(marks.judge(member, life(7, 12)), undefined)
})

test('a refused hello leaves no mark', () => {
  const marks = marked(life(5, 9))
  assert.equal(marks.judge(member, life(6, 8)), 'rolled_back')
  assert.equal(marks.judge(member, life(5, 9)), undefined)
})

test('an untrusted one is let in, and from then on what it said counts', () => {
  const marks = marked(life(5, 9))
  assert.equal(marks.judge(member, life(3, 2, { isUntrusted: true })), undefined)
  assert.equal(marks.judge(member, life(3, 2)), undefined)
  assert.equal(marks.judge(member, life(2, 2)), 'rolled_back')
})

test('another incarnation, another member and a store that does not count are not compared', () => {
  const marks = marked(life(5, 9))
  assert.equal(marks.judge({ ...member, id: 'c' as NodeId }, life(1, 1)), undefined)
  assert.equal(marks.judge(member, life(0, 0)), undefined)
  assert.equal(marks.judge({ ...member, incarnation: 'two' }, life(1, 1)), undefined)
  assert.equal(marks.judge({ ...member, incarnation: 'two' }, life(2, 1)), undefined)
})

test('what was heard is kept as it was, whatever becomes of the bytes it came in', () => {
  const process = Buffer.alloc(8, 7)
  const marks = marked(life(5, 9, { process }))
  process.fill(0)
  assert.equal(marks.judge(member, life(5, 9, { process: Buffer.alloc(8, 7) })), undefined)
})

test('a sound disk is never refused, in whatever order the hellos of its living process arrive', () => {
  // Terms of one life after another; within a life hellos are heard in any order, and late ones of dead lives come in between: their refusal is heard by nobody.
  const lives = fc.array(fc.array(fc.nat(3), { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(lives, fc.infiniteStream(fc.nat(1_000)), (steps, noise) => {
      const marks = new LifeMarks()
      const dead: Life[] = []
      let term = 1
      for (const [n, terms] of steps.entries()) {
        const hellos = terms.map((step) => life(n + 1, (term += step)))
        const shuffled = hellos.map((hello) => ({ hello, at: noise.next().value })).sort((a, b) => a.at - b.at)
        for (const { hello, at } of shuffled) {
          const late = dead[at % Math.max(1, dead.length)]
          if (late !== undefined && at % 2 === 0) marks.judge(member, late)
          assert.equal(marks.judge(member, hello), undefined)
        }
        dead.push(...hellos)
      }
    }),
  )
})
