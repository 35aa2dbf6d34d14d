import assert from 'node:assert/strict'
import { test } from 'node:test'
import { censoredFields, makeLogger } from './log.ts'

function sink(): { lines: string[]; write(line: string): void } {
  const lines: string[] = []
  return { lines, write: (line) => void lines.push(line) }
}

const secret = 'hunter2-very-secret'

test('a line is JSON with a level by name, a time and a constant message', () => {
  const out = sink()
  makeLogger({ level: 'info', destination: out }).info({ term: 3, leader: 'n1' }, 'leader elected')
  const line = JSON.parse(out.lines[0] ?? '') as Record<string, unknown>
  assert.equal(line['level'], 'info')
  assert.equal(line['term'], 3)
  assert.equal(line['msg'], 'leader elected')
  assert.match(String(line['time']), /^\d{4}-\d\d-\d\dT/)
})

for (const name of censoredFields) {
  test(`a field named ${name} never reaches the log: at the top, nested, in a list, in a child's bindings, in any case`, () => {
    const out = sink()
    const log = makeLogger({ level: 'debug', destination: out })
    log.info({ [name]: secret }, 'a')
    log.info({ request: { headers: { [name.toUpperCase()]: secret } } }, 'b')
    log.info({ list: [{ deep: { [name]: [secret] } }] }, 'c')
    log.child({ [name]: secret }).info('d')
    log.child({ part: { [name]: secret } }).info('e')
    assert.equal(out.lines.length, 5)
    assert.equal(out.lines.join('').includes(secret), false, out.lines.join(''))
  })
}

test('what is nested deeper than we ever log is dropped, not written unseen', () => {
  const out = sink()
  makeLogger({ level: 'info', destination: out }).info({ a: { b: { c: { d: { e: { f: { g: { h: secret } } } } } } } }, 'deep')
  assert.equal(out.lines.join('').includes(secret), false)
})

test('an error keeps its message, code, stack and cause, but not what a library hung on it', () => {
  const out = sink()
  const cause = Object.assign(new Error('inner'), { parameters: [secret] })
  const err = Object.assign(new Error('outer', { cause }), { code: 'SQLITE_BUSY', sql: secret, request: { password: secret } })
  makeLogger({ level: 'info', destination: out }).error({ err }, 'it failed')
  const text = out.lines.join('')
  assert.equal(text.includes(secret), false, text)
  for (const kept of ['outer', 'inner', 'SQLITE_BUSY', 'log.test.ts']) assert.ok(text.includes(kept), kept)
})

test('raw bytes are not dumped into the log', () => {
  const out = sink()
  makeLogger({ level: 'info', destination: out }).info({ data: Buffer.from(secret) }, 'bytes')
  assert.equal(out.lines.join('').includes(JSON.stringify(Buffer.from(secret)).slice(10, 40)), false)
})

test('a user name cannot forge a line: control characters are escaped', () => {
  const out = sink()
  makeLogger({ level: 'info', destination: out }).info({ client: { user: 'a\n{"level":"info"}' } }, 'x')
  assert.equal(out.lines.length, 1)
  assert.equal(out.lines[0]?.trimEnd().includes('\n'), false)
})
