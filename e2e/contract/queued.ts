// Queued writes, as a client sees them. Order, retries and what becomes of a queue when its node ends: node/api tests that.
import assert from 'node:assert/strict'
import { userWith } from './contract-place.ts'
import type { ContractCase } from './contract-place.ts'

// These two keys and no other, as rqlite's own suite wants it.
const taken = /^\{"results":\[\],"sequence_number":(\d+)\}$/

export const queued: readonly ContractCase[] = [
  {
    title:
      'a queued write is answered at once with a sequence number that grows; an empty list with wait returns when everything before it is written',
    run: async (place) => {
      await place.execute(['CREATE TABLE queued (id INTEGER PRIMARY KEY, name TEXT)'])
      const numbers: number[] = []
      for (let times = 0; times < 3; times += 1) {
        const match = taken.exec(
          await place.execute(["INSERT INTO queued(name) VALUES('x')", ['INSERT INTO queued(name) VALUES(?)', 'y']], '?queue'),
        )
        numbers.push(Number(match?.[1]))
      }
      numbers.push(Number(taken.exec(await place.execute([], '?queue&wait'))?.[1]))
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      )
      assert.equal(new Set(numbers).size, 4)
      assert.equal(await place.values('SELECT count(*) FROM queued'), '[6]')
    },
  },
  {
    title: 'of three queued statements of which the middle one is bad, the other two are applied',
    run: async (place) => {
      await place.execute(['CREATE TABLE queuedbad (id INTEGER PRIMARY KEY)'])
      const body = await place.execute(
        ['INSERT INTO queuedbad VALUES(1)', 'INSERT INTO nowhere VALUES(1)', 'INSERT INTO queuedbad VALUES(2)'],
        '?queue&wait',
      )
      assert.match(body, taken)
      assert.equal(await place.values('SELECT id FROM queuedbad'), '[1],[2]')
    },
  },
  {
    title: 'a queued write keeps the user who sent it, also through a follower, unlike in rqlite',
    run: async (place) => {
      await place.execute(['CREATE TABLE queueduser (id INTEGER)'])
      const answer = await place.post('/db/execute?queue&wait', ['INSERT INTO queueduser VALUES(1)'], { as: userWith('execute') })
      assert.equal(answer.status, 200, answer.body)
      assert.equal((await place.post('/db/execute?queue', ['INSERT INTO queueduser VALUES(2)'], { as: 'nobody' })).status, 401)
      assert.equal(await place.values('SELECT id FROM queueduser'), '[1]')
    },
  },
  {
    title: 'an empty list without wait, a body that is no JSON, and text/plain are refused; noleader is accepted',
    run: async (place) => {
      for (const [body, headers] of [
        ['[]', {}],
        ['', {}],
        ['INSERT INTO queued DEFAULT VALUES', { 'Content-Type': 'text/plain' }],
      ] as const) {
        assert.equal((await place.post('/db/execute?queue', body, { headers })).status, 400, body)
      }
      assert.match(await place.execute(['SELECT 1'], '?queue&noleader&wait'), taken)
    },
  },
]
