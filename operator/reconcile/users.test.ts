import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import { OwnCredentials } from '../credentials/own-credentials.ts'
import { condition, entries, grantedTo, hashOf, message, spec, start, statusOf } from './questions.ts'
import { allReady, newWorld, secretOf, textOf } from './test-world.ts'
import type { World } from './test-world.ts'

const credentials = new OwnCredentials({ bcryptCost: 4 })
after(() => credentials.close())
let world: World
beforeEach(() => (world = newWorld(credentials)))

test('the access file holds hashes of the passwords in the Secrets, and nothing else', async () => {
  await start(world)
  assert.deepEqual(
    (await entries(world)).map(({ username, perms }) => [username, perms]),
    [
      ['*', ['ready']],
      ['securesql-operator', ['status', 'ready']],
      ['app', ['execute', 'query']],
      ['reporting', ['query']],
    ],
  )
  assert.equal(await grantedTo(world, 'reporting', 'quarterly'), true)
  assert.equal(await grantedTo(world, 'app', await textOf(world, 'orders-user-app', 'password')), true)
  assert.equal(await grantedTo(world, 'securesql-operator', await textOf(world, 'orders-operator', 'password')), true)
})

test('no password, key or hash is in any event or status', async () => {
  await start(world)
  const secrets = [
    await textOf(world, 'orders-user-app', 'password'),
    await textOf(world, 'orders-operator', 'password'),
    'quarterly',
    'PRIVATE KEY',
    '$2b$',
    'CERTIFICATE-----',
  ]
  const shown = JSON.stringify([world.events, await statusOf(world)])
  for (const secret of secrets) assert.equal(shown.includes(secret), false)
})

test('a new password in the named Secret gives a new hash, and only for that user', async () => {
  await start(world)
  const before = await hashOf(world, 'app')
  await secretOf(world, 'reporting-password', { password: 'annual' })
  await world.settle()
  assert.equal(await grantedTo(world, 'reporting', 'annual'), true)
  assert.equal(await grantedTo(world, 'reporting', 'quarterly'), false)
  assert.equal(await hashOf(world, 'app'), before)
})

test('a Secret that changed in something else than the password keeps the hash', async () => {
  await start(world)
  const before = await hashOf(world, 'reporting')
  await secretOf(world, 'reporting-password', { password: 'quarterly', note: 'for the auditors' })
  await world.settle()
  assert.equal(await hashOf(world, 'reporting'), before)
})

test('a password that the operator made is changed by changing its Secret, and made anew by deleting it', async () => {
  await start(world)
  await secretOf(world, 'orders-user-app', { password: 'chosen by hand' })
  await world.settle()
  assert.equal(await grantedTo(world, 'app', 'chosen by hand'), true)
  await world.api.remove({ apiVersion: 'v1', kind: 'Secret', namespace: 'shop', name: 'orders-user-app' }, {})
  await world.settle()
  const made = await textOf(world, 'orders-user-app', 'password')
  assert.match(made, /^[A-Za-z0-9_-]{32}$/)
  assert.equal(await grantedTo(world, 'app', made), true)
  assert.equal(await grantedTo(world, 'app', 'chosen by hand'), false)
})

test('an access file that somebody changed by hand is not believed', async () => {
  await start(world)
  const planted = await credentials.hashPassword('planted')
  const list = (await entries(world)).map((entry) => (entry.username === 'app' ? { ...entry, password: planted } : entry))
  await secretOf(world, 'orders-access', {
    'access.json': JSON.stringify([...list, { username: 'intruder', password: planted, perms: ['all'] }]),
  })
  await world.settle()
  assert.equal(await grantedTo(world, 'app', 'planted'), false)
  assert.equal(await grantedTo(world, 'app', await textOf(world, 'orders-user-app', 'password')), true)
  assert.equal(
    (await entries(world)).some((entry) => entry.username === 'intruder'),
    false,
  )
})

test('a missing password Secret is named, the other users are served, and the user comes with the Secret', async () => {
  await world.user(spec)
  await world.settle()
  allReady(world, 3)
  await world.settle()
  assert.deepEqual(await condition(world, 'UsersReady'), ['False', 'PasswordSecretMissing'])
  assert.match(await message(world, 'UsersReady'), /reporting-password/)
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'])
  assert.deepEqual(
    (await entries(world)).map((entry) => entry.username),
    ['*', 'securesql-operator', 'app'],
  )
  await secretOf(world, 'reporting-password', { password: 'quarterly' })
  await world.settle()
  assert.deepEqual(await condition(world, 'UsersReady'), ['True', 'AccessGranted'])
  assert.equal(await grantedTo(world, 'reporting', 'quarterly'), true)
})

test('a password Secret that disappears leaves its user served; a right that is taken away meanwhile is gone', async () => {
  await start(world)
  await world.api.remove({ apiVersion: 'v1', kind: 'Secret', namespace: 'shop', name: 'reporting-password' }, {})
  await world.settle()
  assert.deepEqual(await condition(world, 'UsersReady'), ['False', 'PasswordSecretMissing'])
  assert.deepEqual(await condition(world, 'Ready'), ['True', 'AllMembersReady'])
  assert.equal(await grantedTo(world, 'reporting', 'quarterly'), true)
  await world.user({ ...spec, users: [spec.users[0], { ...spec.users[1], permissions: ['ready'] }] })
  await world.settle()
  assert.deepEqual((await entries(world)).find((entry) => entry.username === 'reporting')?.perms, ['ready'])
  await world.user({ ...spec, users: [spec.users[0]] })
  await world.settle()
  assert.equal(await hashOf(world, 'reporting'), undefined)
})

const unusable: Readonly<Record<string, readonly [Record<string, string>, RegExp]>> = {
  'another key': [{ pass: 'quarterly' }, /no text under the key password/],
  'an empty password': [{ password: '' }, /empty/],
  'a line break at its end': [{ password: 'quarterly\n' }, /line break/],
  'more than bcrypt looks at': [{ password: 'x'.repeat(73) }, /72 bytes/],
  'a hash instead of a password': [{ password: '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy' }, /holds a hash/],
}
for (const [title, [data, why]] of Object.entries(unusable)) {
  test(`a password Secret with ${title} is refused by name, and nothing of it is shown`, async () => {
    await secretOf(world, 'reporting-password', data)
    await world.user(spec)
    await world.settle()
    assert.deepEqual(await condition(world, 'UsersReady'), ['False', 'PasswordUnusable'])
    assert.match(await message(world, 'UsersReady'), why)
    assert.equal((await message(world, 'UsersReady')).includes(Object.values(data)[0]! || 'nothing'), false)
    assert.equal(await hashOf(world, 'reporting'), undefined)
  })
}

test('a Secret of the name of a generated password that belongs to somebody else keeps that user out, and nothing more', async () => {
  await secretOf(world, 'reporting-password', { password: 'quarterly' })
  await secretOf(world, 'orders-user-app', { password: 'known to the attacker' })
  await world.user(spec)
  await world.settle()
  assert.equal(await hashOf(world, 'app'), undefined)
  assert.deepEqual(await condition(world, 'Degraded'), ['True', 'NameTaken'])
  assert.ok(await world.object('StatefulSet', 'orders'))
})
