import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WriteQueueConfiguration } from '../../contract/node-configuration.ts'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import { ManualClock } from '../replica/manual-clock.ts'
import type { Identity } from '../access/identity.ts'
import { refuse } from './exchange.ts'
import type { ApiReply } from './exchange.ts'
import { WriteQueue } from './write-queue.ts'
import type { Queued, QueuedGroup, QueuedWrite, Sent } from './write-queue.ts'

const anna: Identity = { kind: 'user', username: 'anna' }
const bert: Identity = { kind: 'user', username: 'bert' }
const written: Sent = { kind: 'written', statementErrors: 0 }
const again: Sent = { kind: 'again', reply: refuse('leader_unknown', 'leader not found') }
const refused: Sent = { kind: 'refused', reply: refuse('statement_refused', 'not here') }
const unknown: Sent = { kind: 'unknown', reply: refuse('outcome_unknown', 'nobody knows') }

interface Scene {
  readonly queue: WriteQueue
  readonly clock: ManualClock
  /** What was sent, as text. */
  readonly sent: string[]
  readonly groups: QueuedGroup[]
  /** Answers in order; when they run out, everything is written. */
  readonly answers: (Sent | Promise<Sent>)[]
  readonly metrics: Metrics
  readonly log: () => string
  readonly add: (text: string, write?: Partial<QueuedWrite>) => Queued
  /** Lets what has been asked for happen. */
  readonly pass: (ms?: number) => Promise<void>
}

function scene(settings: Partial<WriteQueueConfiguration> = {}, limits: { queuedBytesMax?: number; bodyBytesMax?: number } = {}): Scene {
  const clock = new ManualClock()
  const sent: string[] = []
  const groups: QueuedGroup[] = []
  const answers: (Sent | Promise<Sent>)[] = []
  const metrics = new Metrics()
  const lines: string[] = []
  const queue = new WriteQueue({
    settings: { capacity: 8, batchSize: 4, timeoutMs: 50, transaction: false, ...settings },
    limits: { queuedBytesMax: 100_000, bodyBytesMax: 1_000, ...limits },
    send: async (group) => {
      groups.push(group)
      const text = group.statementsJson.map((json) => Buffer.from(json).toString()).join(',')
      sent.push(group.identity.kind === 'user' && group.identity.username !== 'anna' ? `${group.identity.username}:${text}` : text)
      return answers.shift() ?? written
    },
    clock,
    logger: makeLogger({ level: 'debug', destination: { write: (line) => void lines.push(line) } }),
    metrics,
  })
  return {
    queue,
    clock,
    sent,
    groups,
    answers,
    metrics,
    log: () => lines.join(''),
    add: (text, write = {}) => {
      const added = queue.add({
        identity: anna,
        statementsJson: Buffer.from(text),
        statements: text === '' ? 0 : 1,
        transaction: false,
        isUpkeep: false,
        ...write,
      })
      assert.ok(added.ok, 'the queue takes it')
      return added.value
    },
    pass: async (ms = 0) => {
      clock.advance(ms)
      for (let turn = 0; turn < 50; turn += 1) {
        await Promise.resolve()
        clock.settle()
      }
    },
  }
}

function codeOf(reply: ApiReply | undefined): string | undefined {
  return reply?.refusal?.code
}

test('what is queued within the time for a batch to fill is written together, in order', async () => {
  const { add, pass, sent } = scene()
  add('a')
  await pass(30)
  add('b')
  await pass(19)
  assert.deepEqual(sent, [])
  await pass(1)
  assert.deepEqual(sent, ['a,b'])
})

test('a batch that is full does not wait', async () => {
  const { add, pass, sent } = scene()
  for (const text of ['a', 'b', 'c', 'd']) add(text)
  await pass()
  assert.deepEqual(sent, ['a,b,c,d'])
})

test('no more than a batch of statements goes together, but a larger request goes as it is', async () => {
  const { add, pass, sent } = scene()
  add('a', { statements: 3 })
  add('b', { statements: 2 })
  add('c', { statements: 9 })
  add('d')
  await pass(50)
  assert.deepEqual(sent, ['a', 'b', 'c', 'd'])
})

test('no more bytes go together than the leader takes in one request', async () => {
  const { add, pass, sent } = scene({}, { bodyBytesMax: 10 })
  for (const text of ['aaaa', 'bbbb', 'cccc']) add(text)
  await pass(50)
  // `[aaaa,bbbb]` would be eleven.
  assert.deepEqual(sent, ['aaaa', 'bbbb', 'cccc'])
})

test('each goes under the identity of who queued it', async () => {
  const { add, pass, sent } = scene()
  add('a')
  add('b')
  add('c', { identity: bert })
  add('d')
  await pass(50)
  assert.deepEqual(sent, ['a,b', 'bert:c', 'd'])
})

test('what asks for a transaction goes alone', async () => {
  const { add, pass, sent, groups } = scene()
  add('a')
  add('b', { transaction: true })
  add('c')
  await pass(50)
  assert.deepEqual(sent, ['a', 'b', 'c'])
  assert.deepEqual(
    groups.map(({ transaction }) => transaction),
    [false, true, false],
  )
})

test('what needs an entry of its own goes alone, between its neighbours', async () => {
  const { add, pass, sent } = scene()
  add('a')
  add('analyze', { isUpkeep: true })
  add('b')
  add('c')
  await pass(50)
  assert.deepEqual(sent, ['a', 'analyze', 'b,c'])
})

test('-write-queue-tx makes each batch a transaction', async () => {
  const { add, pass, groups } = scene({ transaction: true })
  add('a')
  add('b')
  await pass(50)
  assert.deepEqual(
    groups.map(({ transaction }) => transaction),
    [true],
  )
})

test('sequence numbers grow by one and are exact in JavaScript', () => {
  const { add, queue } = scene()
  const first = add('a').sequenceNumber
  assert.equal(add('b').sequenceNumber, first + 1)
  assert.equal(queue.sequenceNumber, first + 1)
  assert.ok(Number.isSafeInteger(first))
})

test('a mark makes what is before it go at once, and ends when it is written', async () => {
  const { add, pass, sent } = scene()
  add('a')
  const mark = add('')
  await pass()
  assert.deepEqual(sent, ['a'])
  assert.equal(await mark.ended, undefined)
  const alone = add('')
  await pass()
  assert.equal(await alone.ended, undefined)
})

test('what certainly was not done is tried again, in order, until it is', async () => {
  const { add, pass, sent, answers } = scene()
  answers.push(again, again)
  const first = add('a')
  await pass(50)
  const second = add('b')
  await pass(99)
  assert.deepEqual(sent, ['a'])
  await pass(1)
  assert.deepEqual(sent, ['a', 'a'])
  await pass(200)
  assert.deepEqual(sent, ['a', 'a', 'a', 'b'])
  assert.equal(await first.ended, undefined)
  assert.equal(await second.ended, undefined)
})

test('what may have been done is never sent again: who waits is told, the log and a counter say it, the queue goes on', async () => {
  const { add, pass, sent, answers, log, metrics } = scene()
  answers.push(unknown)
  const both = [add('a'), add('b')]
  await pass(50)
  const after = add('c')
  await pass(100_000)
  assert.deepEqual(sent, ['a,b', 'c'])
  for (const { ended } of both) assert.equal(codeOf(await ended), 'outcome_unknown')
  assert.equal(await after.ended, undefined)
  assert.match(log(), /"code":"outcome_unknown".*"requests":2/)
  assert.match(await metrics.render(), /securesql_queue_writes_total\{outcome="unknown"\} 2\n/)
})

test('one request that is refused does not take its neighbours along', async () => {
  const { add, pass, sent, answers } = scene()
  answers.push(refused, written, refused, written)
  const [a, b, c] = [add('a'), add('b'), add('c')]
  await pass(50)
  assert.deepEqual(sent, ['a,b,c', 'a', 'b', 'c'])
  assert.deepEqual([codeOf(await a.ended), codeOf(await b.ended), codeOf(await c.ended)], [undefined, 'statement_refused', undefined])
})

test('of a user who may no longer write nothing is tried one by one', async () => {
  const { add, pass, sent, answers } = scene()
  answers.push({ kind: 'refused', reply: refuse('permission_denied', 'permission denied') })
  const queued = [add('a'), add('b')]
  await pass(50)
  assert.deepEqual(sent, ['a,b'])
  for (const { ended } of queued) assert.equal(codeOf(await ended), 'permission_denied')
})

test('a mark tells its user of what was lost before it, and no other', async () => {
  const { add, pass, answers } = scene()
  answers.push(unknown)
  add('a')
  const hers = add('')
  const his = add('', { identity: bert })
  await pass(50)
  assert.equal(codeOf(await hers.ended), 'outcome_unknown')
  assert.equal(await his.ended, undefined)
})

test('it holds so many requests and bytes and no more, those on their way included', async () => {
  const { add, pass, queue, answers, metrics } = scene({ capacity: 2 })
  let answer: (sent: Sent) => void = () => {}
  answers.push(new Promise((resolve) => (answer = resolve)))
  add('a')
  await pass(50)
  add('b')
  const third = { identity: anna, statementsJson: Buffer.from('c'), statements: 1, transaction: false, isUpkeep: false }
  assert.deepEqual(queue.add(third), { ok: false, problem: 'full' })
  assert.match(await metrics.render(), /securesql_queue_requests 2\n/)
  answer(written)
  await pass()
  assert.ok(queue.add(third).ok)

  const small = scene({}, { queuedBytesMax: 2_000 })
  small.add('x')
  assert.deepEqual(small.queue.add({ ...third, statementsJson: Buffer.alloc(1_000) }), { ok: false, problem: 'full' })
})

test('while there is no leader it waits longer and longer, and gives up when nobody can want it any more', async () => {
  const { add, pass, sent, answers, metrics } = scene()
  answers.push(...Array.from({ length: 2_000 }, () => again))
  const { ended } = add('a')
  for (let minute = 0; minute < 59; minute += 1) await pass(60_000)
  let isOver = false
  void ended.then(() => (isOver = true))
  await pass()
  assert.equal(isOver, false)
  // A manual clock fires a pause within each minute; with the real one it is twelve.
  assert.ok(sent.length < 59 * 13, `${sent.length} tries`)
  for (let minute = 0; minute < 3; minute += 1) await pass(60_000)
  assert.equal(codeOf(await ended), 'leader_unknown')
  assert.match(await metrics.render(), /securesql_queue_writes_total\{outcome="given_up"\} 1\n/)
})

test('at the end nothing waits for its batch, nothing new is taken, and what cannot be written is answered', async () => {
  const calm = scene()
  calm.add('a')
  const closed = calm.queue.close()
  await calm.pass()
  await closed
  assert.deepEqual(calm.sent, ['a'])
  assert.deepEqual(
    calm.queue.add({ identity: anna, statementsJson: Buffer.from('b'), statements: 1, transaction: false, isUpkeep: false }),
    {
      ok: false,
      problem: 'closing',
    },
  )

  const lost = scene()
  lost.answers.push(again, new Promise(() => {}))
  const [a, b, mark] = [lost.add('a', { transaction: true }), lost.add('b'), lost.add('')]
  await lost.pass(50)
  const gone = lost.queue.close()
  await lost.pass(10_000)
  await gone
  // The first was tried again and never answered: its end is the process' end.
  assert.deepEqual(lost.sent, ['a', 'a'])
  void a
  assert.equal(codeOf(await b.ended), 'not_ready')
  assert.equal(codeOf(await mark.ended), 'not_ready')
  assert.match(lost.log(), /"outcome":"given_up"/)
})

test('a flush waits until the queue is empty, or as long as it may', async () => {
  const { add, pass, queue, answers, sent } = scene()
  await queue.flush({ withinMs: 1_000 })
  let answer: (sent: Sent) => void = () => {}
  answers.push(new Promise((resolve) => (answer = resolve)))
  add('a')
  let flushed = 0
  void queue.flush({ withinMs: 1_000 }).then(() => (flushed += 1))
  await pass()
  assert.deepEqual([sent, flushed], [['a'], 0])
  answer(written)
  await pass()
  assert.equal(flushed, 1)
  answers.push(new Promise(() => {}))
  add('b')
  void queue.flush({ withinMs: 1_000 }).then(() => (flushed += 1))
  await pass(999)
  assert.equal(flushed, 1)
  await pass(1)
  assert.equal(flushed, 2)
})

test('statements that SQLite refused are counted', async () => {
  const { add, pass, answers, metrics } = scene()
  answers.push({ kind: 'written', statementErrors: 2 })
  add('a')
  await pass(50)
  assert.match(await metrics.render(), /securesql_queue_statement_errors_total 2\n/)
})
