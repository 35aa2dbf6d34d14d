// Large texts that have all arrived: what else gets its turn between them. Counted in turns of the event loop, however long one takes.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ok } from '../../runtime/result.ts'
import { forwardedWrite, openFixture, type ApiFixture } from './api-fixture.ts'

const largeText = `SELECT ${'1,'.repeat(20_000)}1`

interface Seen {
  readonly text: string
  /** In which turn of the loop it came behind the gate. */
  readonly turn: number
}

/** Everything that is read, and when. */
async function watched(context: TestContext): Promise<{ readonly api: ApiFixture; readonly seen: readonly Seen[] }> {
  const api = await openFixture(context)
  const seen: Seen[] = []
  let turn = 0
  let timer: NodeJS.Immediate
  const count = (): void => {
    turn += 1
    timer = setImmediate(count)
  }
  timer = setImmediate(count)
  context.after(() => clearImmediate(timer))
  api.reader.query = (statements) => {
    seen.push({ text: statements[0]?.sql.slice(0, 12) ?? '', turn })
    return Promise.resolve(ok({ results: [], appliedIndex: 0 }))
  }
  return { api, seen }
}

function send(api: ApiFixture, path: string, statements: readonly string[]): Promise<{ readonly status: number }> {
  const body = new TextEncoder().encode(JSON.stringify(statements))
  return api.handler.handle({ ...forwardedWrite, path, query: 'level=none', body, timeoutMs: 60_000 })
}

for (const path of ['/db/query', '/db/request'])
  test(`${path}: between two large requests that have arrived together everybody else has a turn, and small ones do not wait`, async (context) => {
    const { api, seen } = await watched(context)
    const large = Array.from({ length: 8 }, () => send(api, path, [largeText]))
    const small = Array.from({ length: 8 }, () => send(api, path, ['SELECT small']))
    for (const { status } of await Promise.all([...large, ...small])) assert.equal(status, 200)
    assert.equal(seen.length, 16)
    const turnsOf = (text: string): readonly number[] => seen.filter((one) => one.text === text.slice(0, 12)).map(({ turn }) => turn)
    assert.equal(new Set(turnsOf(largeText)).size, 8, 'each large one in a turn of its own')
    const [first] = turnsOf(largeText)
    assert.deepEqual(new Set(turnsOf('SELECT small')), new Set([first]), 'the small ones at once')
  })

test('a large request whose deadline passes while it waits is not begun', async (context) => {
  const { api, seen } = await watched(context)
  const first = send(api, '/db/query', [largeText])
  const body = new TextEncoder().encode(JSON.stringify([largeText]))
  const late = api.handler.handle({ ...forwardedWrite, path: '/db/query', query: 'level=none', body, timeoutMs: 0 })
  assert.equal((await first).status, 200)
  const answer = await late
  assert.equal(answer.status, 503)
  assert.equal(answer.headers['X-SecureSQL-Code'], 'deadline')
  assert.equal(seen.length, 1)
})
