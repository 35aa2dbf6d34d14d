import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { codeOf, held, textsOf, turns, world } from './turnstile-world.ts'

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

test('nor for one that cannot begin yet', async () => {
  const { replica, rehearsal, write } = await world({ quickMsMax: Infinity })
  const { promise, resolve } = Promise.withResolvers<void>()
  rehearsal.ready = () => promise
  const long = write('long')
  await turns()
  const short = write('short 1')
  assert.deepEqual(replica.payloads, ['short 1'])
  await replica.apply()
  resolve()
  await turns()
  await replica.apply()
  assert.deepEqual([codeOf(await short), codeOf(await long)], ['ok', 'ok'])
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

test('nobody else proposes what changes the state', () => {
  const root = new URL('../', import.meta.url)
  const found = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/\.test\.ts$|^peer\/test-|^(?:raft|replica|sim)\//.test(path))
    .flatMap((path) => {
      const lines = readFileSync(new URL(path, root), 'utf8').split('\n')
      const proposals = lines.filter((line) => /\breplica(?:\(\))?\??\.propose\(/.test(line))
      // An entry of that kind changes nothing.
      const count = proposals.filter((line) => !line.includes("entryKind: 'state-hash'")).length
      return count > 0 ? [[path, count] as const] : []
    })
  assert.deepEqual(found, [['api/write-turnstile.ts', 3]])
})
