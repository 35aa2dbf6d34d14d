import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { hashSync } from 'bcryptjs'
import type { AccessEntry } from '../../contract/access-file.ts'
import type { Permission } from '../../contract/permissions.ts'
import { makeLogger } from '../../runtime/log.ts'
import { Metrics } from '../../runtime/metrics.ts'
import { Access } from './access.ts'
import type { Decision } from './access.ts'
import { Lockout } from './lockout.ts'
import { PasswordVerifier } from './password-verifier.ts'

const maryHash = hashSync('secret2', 4)
const documents: readonly AccessEntry[] = [
  { username: 'bob', password: 'secret1', perms: ['all'] },
  { username: 'mary', password: maryHash, perms: ['query', 'backup', 'join'] },
  { username: '*', perms: ['status', 'ready', 'join-read-only'] },
]

class CountingVerifier extends PasswordVerifier {
  asked = 0
  override verify(password: string, hash: string): Promise<boolean | 'overloaded'> {
    this.asked += 1
    return super.verify(password, hash)
  }
}

function world(context: TestContext, entries: readonly AccessEntry[] | undefined) {
  const lines: string[] = []
  let nowMs = 0
  const metrics = new Metrics()
  const verifier = new CountingVerifier()
  context.after(() => verifier.close())
  const access = new Access({
    entries,
    verifier,
    lockout: new Lockout({ monotonicMs: () => nowMs }),
    logger: makeLogger({ level: 'debug', destination: { write: (line) => void lines.push(line) } }),
    metrics,
  })
  const decide = (pair: string | undefined, needed: Permission | readonly Permission[], address = '192.0.2.1'): Promise<Decision> => {
    const authorization = pair === undefined ? undefined : `Basic ${Buffer.from(pair).toString('base64')}`
    return access.decide({ authorization, address }, typeof needed === 'string' ? [needed] : needed)
  }
  const may = async (pair: string | undefined, needed: Permission | readonly Permission[]): Promise<boolean> =>
    (await decide(pair, needed)).kind === 'allowed'
  return { access, verifier, decide, may, metrics, log: () => lines.join(''), pass: (ms: number) => void (nowMs += ms) }
}

test('without an access file everyone may do everything', async (context) => {
  const { may, access } = world(context, undefined)
  assert.equal(access.enabled, false)
  assert.equal(await may(undefined, 'remove'), true)
  assert.equal(await may('who:cares', ['execute', 'query']), true)
})

test("the documents' file decides as the documents say", async (context) => {
  const { may } = world(context, documents)
  const table: readonly [string | undefined, Permission | readonly Permission[], boolean][] = [
    [undefined, 'status', true],
    ['bob:wrong', 'status', true],
    ['nobody:x', 'ready', true],
    [undefined, 'query', false],
    ['bob:secret1', 'execute', true],
    ['bob:secret1', 'join-read-only', true],
    ['bob:secret1', ['query', 'execute'], true],
    ['bob:secret2', 'query', false],
    ['mary:secret2', 'query', true],
    ['mary:secret2', 'join', true],
    ['mary:secret2', 'execute', false],
    ['mary:secret2', ['query', 'execute'], false],
    ['mary:secret1', 'query', false],
    ['*:', 'query', false],
    ['*:secret1', 'status', true],
    [':secret1', 'query', false],
    ['Bob:secret1', 'query', false],
    [undefined, 'join-read-replica', true],
  ]
  for (const [pair, needed, expected] of table) assert.equal(await may(pair, needed), expected, `${pair} ${String(needed)}`)
})

test('all permissions are needed, but `*` may hold one and the user the other', async (context) => {
  const { decide, may } = world(context, [
    { username: 'w', password: 'p', perms: ['execute'] },
    { username: '*', perms: ['query'] },
  ])
  assert.equal(await may('w:p', ['query', 'execute']), true)
  assert.equal(await may(undefined, ['query', 'execute']), false)
  assert.deepEqual(await decide('w:p', ['query']), { kind: 'allowed', identity: { kind: 'anonymous' } })
  assert.deepEqual(await decide('w:p', ['execute']), { kind: 'allowed', identity: { kind: 'user', username: 'w' } })
})

test('join and join-read-only are different rights; join-read-replica is another name of the second', async (context) => {
  const { may } = world(context, [
    { username: 'j', password: 'p', perms: ['join'] },
    { username: 'r', password: 'p', perms: ['join-read-only'] },
    { username: 's', password: 'p', perms: ['join-read-replica'] },
  ])
  assert.deepEqual([await may('j:p', 'join-read-only'), await may('r:p', 'join'), await may('s:p', 'join')], [false, false, false])
  assert.deepEqual([await may('r:p', 'join-read-replica'), await may('s:p', 'join-read-only')], [true, true])
})

test('a stored hash presented as the password fails', async (context) => {
  const { may } = world(context, documents)
  assert.equal(await may(`mary:${maryHash}`, 'query'), false)
})

test('a password of 72 bytes and more never matches a hash, though bcrypt sees only the first 72', async (context) => {
  const { may } = world(context, [{ username: 'a', password: hashSync('x'.repeat(72), 4), perms: ['query'] }])
  assert.equal(await may(`a:${'x'.repeat(72)}`, 'query'), true)
  assert.equal(await may(`a:${'x'.repeat(73)}`, 'query'), false)
})

test('a right password is compared by bcrypt once, and remembered; a wrong one never is', async (context) => {
  const { may, verifier } = world(context, documents)
  for (let i = 0; i < 5; i += 1) assert.equal(await may('mary:secret2', 'query'), true)
  assert.equal(verifier.asked, 1)
  for (let i = 0; i < 3; i += 1) assert.equal(await may('mary:nope', 'query'), false)
  assert.equal(verifier.asked, 4)
})

test('many requests that arrive together with one password make one comparison', async (context) => {
  const { may, verifier } = world(context, documents)
  const answers = await Promise.all(Array.from({ length: 50 }, () => may('mary:secret2', 'query')))
  assert.ok(answers.every(Boolean))
  assert.equal(verifier.asked, 1)
})

test('an unknown user and a cleartext user with a wrong password cost a comparison like a user with a hash', async (context) => {
  const { may, verifier } = world(context, documents)
  await may('nobody:x', 'query')
  assert.equal(verifier.asked, 1)
  await may('bob:wrong', 'query')
  assert.equal(verifier.asked, 2)
  await may('mary:wrong', 'query')
  assert.equal(verifier.asked, 3)
})

test('whatever the comparison with a decoy says, an unknown user and a cleartext user stay out', async (context) => {
  const { may, verifier } = world(context, documents)
  verifier.verify = () => Promise.resolve(true)
  assert.deepEqual([await may('nobody:x', 'query'), await may('bob:wrong', 'query'), await may('mary:any', 'query')], [false, false, true])
})

test('after ten failures even the right password is refused from that address, and from that address only', async (context) => {
  const { decide, may, log, pass } = world(context, documents)
  for (let i = 0; i < 10; i += 1) assert.equal(await may(`bob:guess${i}`, 'query'), false)
  assert.deepEqual(await decide('bob:secret1', 'query'), { kind: 'denied', code: 'credentials_locked_out' })
  assert.equal((await decide('bob:secret1', 'query', '192.0.2.2')).kind, 'allowed')
  assert.equal((await decide('mary:secret2', 'query')).kind, 'allowed')
  assert.ok(log().includes('credentials locked out after repeated failures'))
  pass(10_000)
  assert.equal((await decide('bob:secret1', 'query')).kind, 'allowed')
})

test('a remembered password is refused during a lock-out too', async (context) => {
  const { may, decide } = world(context, documents)
  assert.equal(await may('mary:secret2', 'query'), true)
  for (let i = 0; i < 10; i += 1) await may(`mary:guess${i}`, 'query')
  assert.deepEqual(await decide('mary:secret2', 'query'), { kind: 'denied', code: 'credentials_locked_out' })
})

test('a lock-out does not tell whether a user exists', async (context) => {
  const { decide, may } = world(context, documents)
  for (let i = 0; i < 10; i += 1) await may(`nobody:guess${i}`, 'query')
  assert.deepEqual(await decide('nobody:x', 'query'), { kind: 'denied', code: 'credentials_locked_out' })
})

test('a burst of guesses in parallel gets no more tries than one after another', async (context) => {
  const { decide } = world(context, documents)
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => decide(`mary:guess${i}`, 'query')))
  assert.equal(answers.filter((answer) => answer.kind === 'denied' && answer.code === 'permission_denied').length, 10)
})

test('new users and permissions are in force at once, and what was remembered is forgotten', async (context) => {
  const { access, may } = world(context, documents)
  assert.equal(await may('mary:secret2', 'query'), true)
  access.replaceUsers([{ username: 'mary', password: hashSync('new', 4), perms: ['execute'] }])
  assert.equal(await may('mary:secret2', 'execute'), false)
  assert.equal(await may('mary:new', 'query'), false)
  assert.equal(await may('mary:new', 'execute'), true)
  assert.equal(await may('bob:secret1', 'query'), false)
  assert.equal(await may(undefined, 'status'), false)
})

test('a user who is removed while the password is being checked gets in no more', async (context) => {
  const { access, decide } = world(context, documents)
  const deciding = decide('mary:secret2', 'query')
  access.replaceUsers([])
  assert.deepEqual(await deciding, { kind: 'denied', code: 'permission_denied' })
})

test('a member vouches for an identity, but its permissions are those of this node', async (context) => {
  const { access } = world(context, documents)
  assert.equal(access.mayDo({ kind: 'user', username: 'mary' }, ['query']), true)
  assert.equal(access.mayDo({ kind: 'user', username: 'mary' }, ['query', 'execute']), false)
  assert.equal(access.mayDo({ kind: 'user', username: 'ghost' }, ['query']), false)
  assert.equal(access.mayDo({ kind: 'user', username: '*' }, ['query']), false)
  assert.equal(access.mayDo({ kind: 'anonymous' }, ['status']), true)
  assert.equal(access.mayDo({ kind: 'anonymous' }, ['query']), false)
})

test('failures are logged with user and address and counted; passwords, right or wrong, are in no line', async (context) => {
  const { may, log, metrics } = world(context, documents)
  await may('bob:hunter2wrong', 'query')
  await may('ghost:hunter2ghost', 'query')
  await may('mary:secret2', 'execute')
  await may('bob:secret1', 'query')
  for (const part of ['"user":"bob"', '"address":"192.0.2.1"', 'authentication failed', 'permission denied'])
    assert.ok(log().includes(part), part)
  for (const secret of ['hunter2', 'secret1', 'secret2', maryHash]) assert.equal(log().includes(secret), false, secret)
  const text = await metrics.render()
  for (const [outcome, count] of [
    ['wrong_password', 1],
    ['unknown_user', 1],
    ['not_permitted', 1],
    ['authenticated', 1],
    ['locked_out', 0],
  ] as const) {
    assert.ok(text.includes(`securesql_access_decisions_total{outcome="${outcome}"} ${count}`), outcome)
  }
})

test('on one connection each header is judged for itself, and each reading of the file anew', async (context) => {
  const { access } = world(context, documents)
  const connection = {}
  const decide = async (pair: string, needed: Permission): Promise<Decision> =>
    access.decide({ authorization: `Basic ${Buffer.from(pair).toString('base64')}`, address: '192.0.2.1', connection }, [needed])
  const bob = { kind: 'allowed', identity: { kind: 'user', username: 'bob' } }
  assert.deepEqual(await decide('bob:secret1', 'execute'), bob)
  assert.equal((await decide('bob:secret2', 'execute')).kind, 'denied')
  assert.equal((await decide('mary:secret2', 'execute')).kind, 'denied')
  assert.deepEqual(await decide('bob:secret1', 'execute'), bob)
  assert.equal((await access.decide({ authorization: undefined, address: '192.0.2.1', connection }, ['execute'])).kind, 'denied')
  assert.deepEqual(await decide('bob:secret1', 'execute'), bob)
  access.replaceUsers([{ username: 'bob', password: 'other', perms: ['all'] }])
  assert.equal((await decide('bob:secret1', 'execute')).kind, 'denied')
})
