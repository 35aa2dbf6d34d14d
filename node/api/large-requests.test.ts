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
async function watched(
  context: TestContext,
): Promise<{ readonly api: ApiFixture; readonly seen: readonly Seen[]; readonly turnNow: () => number }> {
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
  return { api, seen, turnNow: () => turn }
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
    const ofSmall = new Set(turnsOf('SELECT small'))
    assert.equal(ofSmall.size, 1, 'the small ones at once')
    assert.ok(Math.max(...ofSmall) <= (first ?? -1), 'and before what takes long')
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

/** Each look at the clock is long after the one before: every step is a stretch, however fast the machine is. */
function makeEachStepLong(context: TestContext): void {
  let nowMs = performance.now()
  context.mock.method(performance, 'now', () => (nowMs += 25))
}

test('within one text, between its statements, everybody else has a turn', async (context) => {
  const { api, seen } = await watched(context)
  makeEachStepLong(context)
  const text = 'SELECT 1;'.repeat(30_000)
  const [large] = await Promise.all([send(api, '/db/query', [text]), send(api, '/db/query', ['SELECT small'])])
  assert.equal(large.status, 200)
  const [small, behind] = seen
  assert.deepEqual([small?.text, behind?.text], ['SELECT small', text.slice(0, 12)])
  // 90,000 tokens, read once and judged once.
  assert.ok((behind?.turn ?? 0) - (small?.turn ?? 0) >= 16, `${small?.turn} and ${behind?.turn}`)
})

test('a long answer is written in several turns', async (context) => {
  const { api, turnNow } = await watched(context)
  makeEachStepLong(context)
  const columns = [{ name: 'c', declaredType: 'text' }]
  const rows = Array.from({ length: 40_000 }, () => ['x'.repeat(100)])
  let readAt = -1
  api.reader.query = () => {
    readAt = turnNow()
    return Promise.resolve(ok({ results: [{ kind: 'rows', columns, rows, seconds: 0 }], appliedIndex: 0 }))
  }
  assert.equal((await send(api, '/db/query', ['SELECT c FROM t'])).status, 200)
  assert.ok(turnNow() - readAt >= 10, `from ${readAt} to ${turnNow()}`)
})

test('large requests whose deadline passes while they wait are answered before the next one is begun', async (context) => {
  const { api, seen, turnNow } = await watched(context)
  const inTime = [send(api, '/db/query', [largeText]), send(api, '/db/query', [largeText])]
  const body = new TextEncoder().encode(JSON.stringify([largeText]))
  const late = Array.from({ length: 4 }, async () => {
    const { headers } = await api.handler.handle({ ...forwardedWrite, path: '/db/query', query: 'level=none', body, timeoutMs: 0 })
    assert.equal(headers['X-SecureSQL-Code'], 'deadline')
    return turnNow()
  })
  const turns = await Promise.all(late)
  for (const { status } of await Promise.all(inTime)) assert.equal(status, 200)
  const last = seen[1]?.turn ?? 0
  assert(turns.every((turn) => turn <= last))
})
