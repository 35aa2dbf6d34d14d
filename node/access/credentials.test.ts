import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCredentials } from './credentials.ts'

const basic = (pair: string | Uint8Array): string => `Basic ${Buffer.from(pair).toString('base64')}`

test('a pair splits at its first colon, and the scheme may be in any case (RFC 7617 §2)', () => {
  assert.deepEqual(parseCredentials(basic('bob:secret1')), { kind: 'basic', username: 'bob', password: 'secret1' })
  assert.deepEqual(parseCredentials(basic('bob:a:b:c')), { kind: 'basic', username: 'bob', password: 'a:b:c' })
  assert.deepEqual(parseCredentials(basic('bob:')), { kind: 'basic', username: 'bob', password: '' })
  assert.deepEqual(parseCredentials(basic('jürgen:пароль').replace('Basic', 'bASIC ')), {
    kind: 'basic',
    username: 'jürgen',
    password: 'пароль',
  })
})

test('no header is no credentials', () => assert.deepEqual(parseCredentials(undefined), { kind: 'none' }))

const malformed: readonly [title: string, header: string][] = [
  ['an empty header', ''],
  ['a scheme alone', 'Basic'],
  ['another scheme', 'Bearer abcd'],
  ['base64 with a character that is none', 'Basic Ym9i*mM='],
  ['base64 of the URL alphabet', 'Basic Ym9iOj8_'],
  ['base64 without its padding', 'Basic Ym9iOmE'],
  ['base64 with something after it', `${basic('bob:a')} x`],
  ['two pairs in one header', `${basic('bob:a')}, ${basic('eve:b')}`],
  ['no colon', basic('bob')],
  ['an empty user', basic(':secret')],
  ['a NUL in the password, which bcrypt would take for its end', basic('bob:secret\0x')],
  ['a line break in the user', basic('bob\n:secret')],
  ['bytes that are not UTF-8', basic(Uint8Array.from([0x62, 0x3a, 0xff]))],
  ['a user of more than 1024 bytes', basic(`${'u'.repeat(1025)}:p`)],
  ['a password of more than 1024 bytes', basic(`u:${'p'.repeat(1025)}`)],
]

for (const [title, header] of malformed) {
  test(`${title} names nobody`, () => assert.deepEqual(parseCredentials(header), { kind: 'malformed' }))
}
