import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WriteEnd } from './log-door.ts'
import { codeOf, held, laterApplied, turns, world } from './turnstile-world.ts'

test('what provably ends soon goes straight through; what does not is rehearsed first, and proposed as it was rehearsed', async () => {
  const { replica, rehearsal, write } = await world()
  const short = write('short 10')
  const long = write('long')
  await turns()
  assert.deepEqual(replica.payloads, ['short 10'], 'the copy is made when everything before is applied')
  await replica.apply()
  assert.deepEqual(replica.payloads, ['short 10', 'long'])
  assert.deepEqual(
    rehearsal.rehearsed.map((writes) => writes.map(({ payload }) => Buffer.from(payload).toString())),
    [['long']],
  )
  await replica.apply()
  assert.deepEqual([codeOf(await short), codeOf(await long)], ['ok', 'ok'])
})

test('what is ended in its rehearsal is refused with the code, and nothing of it is proposed; those before and behind it are', async () => {
  const { replica, rehearsal, write } = await world()
  const rehearsals = held(rehearsal)
  const first = write('long 1')
  await turns()
  const others = ['long 2', 'long 3', 'long 4'].map((sql) => write(sql))
  await rehearsals.release()
  await replica.apply()
  await rehearsals.release({ kind: 'ended', at: 1, problem: { code: 'statement_timeout', message: 'execute timeout' } })
  await replica.apply()
  await rehearsals.release()
  await replica.apply()
  assert.deepEqual(replica.payloads, ['long 1', 'long 2', 'long 4'])
  assert.deepEqual((await Promise.all([first, ...others])).map(codeOf), ['ok', 'ok', 'statement_timeout', 'ok'])
})

test('while a write is rehearsed others go through, and while one is under way no other is rehearsed', async () => {
  const { replica, rehearsal, write } = await world()
  const rehearsals = held(rehearsal)
  void write('long 1')
  await turns()
  void write('short 1')
  await turns()
  assert.deepEqual(replica.payloads, ['short 1'])
  await rehearsals.release()
  await replica.apply()
  await rehearsals.release()
  assert.deepEqual(replica.payloads, ['short 1', 'long 1'])
  void write('long 2')
  await turns()
  assert.equal(rehearsal.rehearsed.length, 2, 'the one before is not applied yet')
  await replica.apply()
  assert.equal(rehearsal.rehearsed.length, 3)
})

test('nothing is judged while a change of the schema is under way: it may make of a short write an endless one', async () => {
  const { replica, rehearsal, write } = await world()
  void write('schema')
  await turns()
  assert.deepEqual(replica.payloads, ['schema'])
  const behind = write('short 1')
  await turns()
  assert.deepEqual(replica.payloads, ['schema'])
  rehearsal.judgement = () => ({ cost: Infinity, changesSchema: false })
  const rehearsals = held(rehearsal)
  await replica.apply()
  assert.equal(rehearsal.rehearsed.length, 2, 'judged by what it has become')
  await rehearsals.release({ kind: 'ended', at: 0, problem: { code: 'statement_timeout', message: 'execute timeout' } })
  assert.equal(codeOf(await behind), 'statement_timeout')
})

test('a change of the schema that is known to end is not rehearsed; what is being rehearsed meanwhile is rehearsed again', async () => {
  const { replica, rehearsal, write } = await world()
  const rehearsals = held(rehearsal)
  void write('long')
  await turns()
  void write('plain 10')
  await turns()
  await rehearsals.release()
  assert.deepEqual(replica.payloads, ['plain 10'])
  await replica.apply()
  await rehearsals.release()
  assert.deepEqual(replica.payloads, ['plain 10', 'long'])
  assert.equal(rehearsal.rehearsed.length, 2)
  await replica.apply()
})

test('a change of the schema whose outcome is unknown is waited for', async () => {
  const { replica, write } = await world()
  let isApplied = false
  replica.whenApplied = () => laterApplied(() => isApplied)
  const schema = write('schema')
  await turns()
  await replica.apply({ ok: false, problem: { code: 'outcome_unknown', leader: undefined } })
  assert.equal(codeOf(await schema), 'outcome_unknown')
  const behind = write('short 1')
  await turns()
  assert.deepEqual(replica.payloads, ['schema'])
  isApplied = true
  await turns()
  assert.deepEqual(replica.payloads, ['schema', 'short 1'])
  await replica.apply()
  assert.equal(codeOf(await behind), 'ok')
})

test('a rehearsal counts no more when anything was written meanwhile: it is repeated while the others wait', async () => {
  const { replica, rehearsal, write } = await world()
  const rehearsals = held(rehearsal)
  const long = write('long')
  await turns()
  void write('short 1')
  await turns()
  await rehearsals.release()
  assert.deepEqual(replica.payloads, ['short 1'])
  void write('short 2')
  await replica.apply()
  assert.equal(rehearsal.rehearsed.length, 2)
  assert.deepEqual(replica.payloads, ['short 1'], 'the door is closed')
  await rehearsals.release()
  assert.deepEqual(replica.payloads, ['short 1', 'long', 'short 2'])
  await replica.apply()
  assert.equal(codeOf(await long), 'ok')
})

test('nor when something was proposed before it whose outcome nobody knows', async () => {
  const { replica, rehearsal, write } = await world()
  let isApplied = false
  replica.whenApplied = () => laterApplied(() => isApplied)
  const unknown = write('short 1')
  await turns()
  await replica.apply({ ok: false, problem: { code: 'outcome_unknown', leader: undefined } })
  assert.equal(codeOf(await unknown), 'outcome_unknown')
  void write('long')
  await turns()
  assert.equal(rehearsal.rehearsed.length, 0, 'a copy could lack it')
  isApplied = true
  await turns()
  assert.equal(rehearsal.rehearsed.length, 1)
  await replica.apply()
})

test('a new leader judges nothing before it has applied what others have written', async () => {
  const { replica, write } = await world()
  let isApplied = false
  replica.whenApplied = () => laterApplied(() => isApplied)
  replica.follow('n2')
  replica.follow('n1')
  void write('short 1')
  await turns()
  assert.deepEqual(replica.payloads, [])
  isApplied = true
  await turns()
  assert.deepEqual(replica.payloads, ['short 1'])
})

test('writes that wait too long, or that nobody waits for, are not rehearsed; whoever has used much waits behind the others', async () => {
  const { replica, rehearsal, write } = await world()
  const rehearsals = held(rehearsal)
  let isLate = false
  void write('long 1')
  await turns()
  const late = write('long late', { msLeft: () => (isLate ? 0 : 60_000) })
  const abandoned = write('long abandoned', { isAbandoned: () => isLate })
  isLate = true
  await rehearsals.release()
  await replica.apply()
  assert.deepEqual([codeOf(await late), codeOf(await abandoned)], ['deadline', 'deadline'])
  assert.equal(rehearsal.rehearsed.length, 1)
  const many = Array.from({ length: 300 }, (_, n) => write(`long many ${n}`))
  await turns()
  await rehearsals.release({ kind: 'interrupted' })
  assert.equal(rehearsal.rehearsed.length, 3)
  await rehearsals.release()
  await turns()
  const refused = Promise.race([Promise.all(many.slice(-10)), turns().then((): WriteEnd[] => [])])
  assert.deepEqual(
    (await refused).map(codeOf),
    Array.from({ length: 10 }, () => 'overloaded'),
  )
})
