import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLogger } from '../../runtime/log.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { ProposeOptions, ReplicaProblem } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import type { RehearsalEnd } from './rehearsal.ts'
import { ScriptedRehearsal, ScriptedReplica } from './scripted-node.ts'
import type { WriteEnd } from './log-door.ts'
import { WriteTurnstile, type TurnstileWrite } from './write-turnstile.ts'

/** A replica with a log that applies when it is told to. */
class SlowReplica extends ScriptedReplica {
  readonly payloads: string[] = []
  /** What it takes no more, and why. */
  readonly refused = new Map<string, ReplicaProblem['code']>()
  readonly #ends: ((end: Result<Applied, ReplicaProblem>) => void)[] = []

  override propose(payload: Uint8Array, { behind, onPlaced }: ProposeOptions): Promise<Result<Applied, ReplicaProblem>> {
    const text = Buffer.from(payload).toString()
    if (text === 'broken') throw new RangeError('broken')
    const { lastIndex, lastTerm: term } = this.state
    const isBehind = behind === undefined || (behind.index === lastIndex && behind.term === term)
    const code = this.refused.get(text) ?? (isBehind ? undefined : 'log_moved_on')
    if (code !== undefined) return Promise.resolve(fail({ code, leader: undefined }))
    this.append(text)
    onPlaced?.({ index: lastIndex + 1, term })
    return new Promise((resolve) => this.#ends.push(resolve))
  }

  append(text: string): void {
    this.payloads.push(text)
    this.state = { ...this.state, lastIndex: this.state.lastIndex + 1 }
  }

  /** The oldest one. */
  async apply(end: Result<Applied, ReplicaProblem> = ok({ index: 8, term: 3, outcome: undefined })): Promise<void> {
    this.#ends.shift()?.(end)
    await turns()
  }
}

interface World {
  readonly replica: SlowReplica
  readonly rehearsal: ScriptedRehearsal
  readonly turnstile: WriteTurnstile
  readonly write: (sql: string, options?: Partial<TurnstileWrite>) => Promise<WriteEnd>
}

/** Texts: `short N` and `plain N` (which changes the schema) cost N instructions, `long` any number, `schema` changes the schema. */
async function world({ quickMsMax }: { readonly quickMsMax: number } = { quickMsMax: 0 }): Promise<World> {
  const replica = new SlowReplica('n1', 'n1')
  const rehearsal = new ScriptedRehearsal()
  rehearsal.copied = () => ({ index: replica.state.lastIndex, term: 3 })
  rehearsal.judgement = (sql) => ({
    cost: /^(short|plain)/.test(sql) ? Number(sql.split(' ')[1] ?? 1) : Infinity,
    changesSchema: /^(schema|plain)/.test(sql),
  })
  const turnstile = new WriteTurnstile(rehearsal, makeLogger({ level: 'silent' }), { quickMsMax })
  const write: World['write'] = (sql, options) =>
    turnstile.write(replica, {
      statements: [{ sql, parameters: { kind: 'positional', values: [] } }],
      payload: Buffer.from(sql),
      limit: { kind: 'processor', ms: 1_000 },
      client: '',
      msLeft: () => 60_000,
      isAbandoned: () => false,
      ...options,
    })
  // The first write of a leader waits until everything of others is applied.
  const first = write('short 1')
  await turns()
  await replica.apply()
  await first
  replica.payloads.length = 0
  return { replica, rehearsal, turnstile, write }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

async function laterApplied(isApplied: () => boolean): ReturnType<ScriptedReplica['whenApplied']> {
  await new Promise((resolve) => setImmediate(resolve))
  return isApplied() ? ok(7) : { ok: false, problem: { code: 'deadline', leader: undefined } }
}

function codeOf(end: WriteEnd): string {
  return end.ok ? 'ok' : end.problem.code
}

/** Rehearsals that end when they are told to. */
function held(rehearsal: ScriptedRehearsal): { release: (end?: RehearsalEnd) => Promise<void> } {
  let release: (end: RehearsalEnd) => void = () => {}
  rehearsal.end = (writes, onPassed) =>
    new Promise((resolve) => {
      // The copy is made now.
      const copied = rehearsal.copied()
      release = (end) => {
        const passed = end.kind === 'ended' ? end.at : end.kind === 'done' ? writes.length : 0
        for (let at = 0; at < passed; at += 1) onPassed(at, copied)
        resolve(end)
      }
    })
  return {
    release: (end = { kind: 'done' }) => {
      release(end)
      return turns()
    },
  }
}

function textsOf(rehearsal: ScriptedRehearsal): readonly (readonly string[])[] {
  return rehearsal.rehearsed.map((writes) => writes.map(({ payload }) => Buffer.from(payload).toString()))
}

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

test('what cannot be tried is refused and not proposed, whether the rehearsal says so or throws; the next one is tried again', async () => {
  const { replica, rehearsal, write } = await world()
  const passing = rehearsal.end
  rehearsal.end = () => Promise.resolve({ kind: 'unavailable' })
  const untried = await write('long 1')
  rehearsal.end = () => Promise.reject(new Error('SQLITE_CANTOPEN'))
  const thrown = await write('long 2')
  assert.deepEqual([codeOf(untried), codeOf(thrown)], ['rehearsal_unavailable', 'rehearsal_unavailable'])
  assert.deepEqual(replica.payloads, [])
  rehearsal.end = passing
  const third = write('long 3')
  await turns()
  await replica.apply()
  assert.deepEqual([codeOf(await third), replica.payloads], ['ok', ['long 3']])
})

test('a fault of ours is told to whoever has written, and the next write is served', async () => {
  const { replica, write } = await world()
  await assert.rejects(write('broken'), RangeError)
  const next = write('long')
  await turns()
  await replica.apply()
  assert.equal(codeOf(await next), 'ok')
})

test('what was rehearsed behind a write that the log then did not take is rehearsed again without it', async () => {
  const { replica, rehearsal, write } = await world()
  const rehearsals = held(rehearsal)
  void write('long 0')
  await turns()
  const batch = ['long 1', 'long 2', 'long 3'].map((sql) => write(sql))
  await rehearsals.release()
  await replica.apply()
  replica.refused.set('long 2', 'overloaded')
  await rehearsals.release()
  assert.deepEqual(replica.payloads, ['long 0', 'long 1'], 'long 3 was tried on top of long 2')
  await replica.apply()
  assert.deepEqual(textsOf(rehearsal), [['long 0'], ['long 1', 'long 2', 'long 3'], ['long 3']])
  await rehearsals.release()
  await replica.apply()
  assert.deepEqual(replica.payloads, ['long 0', 'long 1', 'long 3'])
  assert.deepEqual((await Promise.all(batch)).map(codeOf), ['ok', 'overloaded', 'ok'])
})

test('whatever else enters the log after the copy was made, by whichever way, what was rehearsed does not go behind it', async () => {
  const { replica, rehearsal, write } = await world()
  const rehearsals = held(rehearsal)
  const long = write('long')
  await turns()
  replica.append('of another leader, or nobody knows whose')
  await rehearsals.release()
  assert.equal(replica.payloads.includes('long'), false)
  assert.equal(rehearsal.rehearsed.length, 2)
  await rehearsals.release()
  assert.equal(replica.payloads.at(-1), 'long')
  await replica.apply()
  assert.equal(codeOf(await long), 'ok')
})

test('entries of our own that change what writes cost wait for what went through, and everything waits for them', async () => {
  const { replica, turnstile, write } = await world()
  const own = (text: string, changes: 'data' | 'judgements') =>
    turnstile.propose(replica, { payload: Buffer.from(text), changes, msLeft: () => 60_000 })
  void write('short 1')
  const load = own('load', 'judgements')
  const behind = [write('short 2'), own('chunk', 'data'), own('foreign keys', 'judgements'), write('short 3')]
  await turns()
  assert.deepEqual(replica.payloads, ['short 1'])
  await replica.apply()
  assert.deepEqual(replica.payloads, ['short 1', 'load'])
  await replica.apply()
  assert.deepEqual(replica.payloads, ['short 1', 'load', 'short 2', 'chunk'])
  await replica.apply()
  await replica.apply()
  assert.deepEqual(replica.payloads.slice(4), ['foreign keys'])
  await replica.apply()
  assert.deepEqual(replica.payloads.slice(5), ['short 3'])
  await replica.apply()
  assert.deepEqual((await Promise.all([load, ...behind])).map(codeOf), ['ok', 'ok', 'ok', 'ok', 'ok'])
})

test('a change of the schema is judged again when what went through before it is applied', async () => {
  const { replica, rehearsal, write } = await world()
  void write('short 1')
  const plain = write('plain 10')
  await turns()
  assert.deepEqual(replica.payloads, ['short 1'])
  rehearsal.judgement = () => ({ cost: Infinity, changesSchema: true })
  rehearsal.end = () => Promise.resolve({ kind: 'ended', at: 0, problem: { code: 'statement_timeout', message: 'execute timeout' } })
  await replica.apply()
  assert.equal(codeOf(await plain), 'statement_timeout')
  assert.deepEqual(replica.payloads, ['short 1'])
})

test('a step of a load, too, makes what was rehearsed beside it be rehearsed again', async () => {
  const { replica, rehearsal, turnstile, write } = await world()
  const rehearsals = held(rehearsal)
  void write('long')
  await turns()
  void turnstile.propose(replica, { payload: Buffer.from('chunk'), changes: 'data', msLeft: () => 60_000 })
  await turns()
  await rehearsals.release()
  assert.deepEqual(replica.payloads, ['chunk'])
  await replica.apply()
  await rehearsals.release()
  assert.deepEqual(replica.payloads, ['chunk', 'long'])
  await replica.apply()
})

test('others wait for a quick rehearsal, so that it is not done twice', async () => {
  const { replica, rehearsal, write } = await world({ quickMsMax: Infinity })
  const rehearsals = held(rehearsal)
  const long = write('long')
  await turns()
  const short = write('short 1')
  await turns()
  assert.deepEqual(replica.payloads, [])
  await rehearsals.release()
  assert.deepEqual(replica.payloads, ['long', 'short 1'])
  await replica.apply()
  await replica.apply()
  assert.deepEqual([codeOf(await long), codeOf(await short), rehearsal.rehearsed.length], ['ok', 'ok', 1])
})

test('they do not wait long for one that is not', async () => {
  const { replica, rehearsal, write } = await world({ quickMsMax: 1 })
  const rehearsals = held(rehearsal)
  void write('long')
  await turns()
  const short = write('short 1')
  for (let pauses = 0; replica.payloads.length === 0 && pauses < 1_000; pauses += 1) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.deepEqual(replica.payloads, ['short 1'])
  await replica.apply()
  assert.equal(codeOf(await short), 'ok')
  await rehearsals.release()
  await rehearsals.release()
  await replica.apply()
})
