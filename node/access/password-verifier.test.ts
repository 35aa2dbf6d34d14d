import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { hashSync } from 'bcryptjs'
import { PasswordVerifier } from './password-verifier.ts'
import type { PasswordVerifierLimits } from './password-verifier.ts'

function open(context: TestContext, limits?: PasswordVerifierLimits): PasswordVerifier {
  const verifier = new PasswordVerifier(limits)
  context.after(() => verifier.close())
  return verifier
}

test('the right password matches its hash, in all three spellings of bcrypt, and a wrong one does not', async (context) => {
  const verifier = open(context)
  const hash = hashSync('secret2', 4)
  for (const kind of ['$2a$', '$2b$', '$2y$']) {
    assert.equal(await verifier.verify('secret2', hash.replace(/^\$2b\$/, kind)), true, kind)
  }
  assert.equal(await verifier.verify('secret3', hash), false)
})

test('the stored hash itself is not the password (rqlite took it for one)', async (context) => {
  const hash = hashSync('secret2', 4)
  assert.equal(await open(context).verify(hash, hash), false)
})

test('a password of more than 72 bytes matches nothing, even where bcrypt itself would see no difference', async (context) => {
  const verifier = open(context)
  const password = 'x'.repeat(72)
  const hash = hashSync(password, 4)
  assert.equal(await verifier.verify(password, hash), true)
  assert.equal(await verifier.verify(`${password}y`, hash), false)
  // 24 characters of three bytes each and one more.
  const wide = '€'.repeat(24)
  assert.equal(await verifier.verify(`${wide}!`, hashSync(wide, 4)), false)
})

test('bcrypt runs beside the event loop: the loop goes on turning while a slow hash is compared', async (context) => {
  const verifier = open(context)
  const hash = hashSync('warm', 4)
  await verifier.verify('warm', hash) // the thread has started
  const slow = `$2b$12$${hash.slice(7)}`
  // Of this thread: on a busy machine the loop stands still for other reasons.
  const processorMs = (since?: NodeJS.CpuUsage): number => {
    const { user, system } = process.threadCpuUsage(since)
    return (user + system) / 1000
  }
  const beforeHash = process.threadCpuUsage()
  hashSync('calibrate', 10) // a quarter of what cost 12 takes
  const hashMs = processorMs(beforeHash) * 4
  let turns = 0
  const ticking = setInterval(() => (turns += 1), 1)
  const before = process.threadCpuUsage()
  assert.equal(await verifier.verify('guess', slow), false)
  const usedMs = processorMs(before)
  clearInterval(ticking)
  assert.ok(usedMs < hashMs / 2, `${usedMs} ms of the thread's time while a hash of ${hashMs} ms was compared`)
  assert.ok(turns > 5, `${turns} turns of the loop meanwhile`)
})

test('questions beyond the queue are refused at once, and the others are answered', async (context) => {
  const verifier = open(context, { threads: 1, queueMax: 2 })
  const hash = hashSync('p', 4)
  const answers = await Promise.all(Array.from({ length: 10 }, () => verifier.verify('p', hash)))
  // One at the desk, two waiting.
  assert.deepEqual(answers.filter((answer) => answer === true).length, 3)
  assert.deepEqual(answers.filter((answer) => answer === 'overloaded').length, 7)
  assert.equal(await verifier.verify('p', hash), true)
})

test('closing answers those who wait', async () => {
  const verifier = new PasswordVerifier({ threads: 1, queueMax: 8 })
  const hash = `$2b$12$${hashSync('p', 4).slice(7)}`
  const answers = Array.from({ length: 3 }, () => verifier.verify('p', hash))
  await verifier.close()
  assert.deepEqual(await Promise.all(answers), ['overloaded', 'overloaded', 'overloaded'])
  assert.equal(await verifier.verify('p', hash), 'overloaded')
})
