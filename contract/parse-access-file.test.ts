import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAccessFile } from './parse-access-file.ts'

const hash = '$2b$04$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzabcde'

// As both rqlite security documents print it, byte for byte.
const documentsFile = `[
  {
    "username": "bob",
    "password": "secret1",
    "perms": ["all"]
  },
  {
    "username": "mary",
    "password": "secret2",
    "perms": ["query", "backup", "join"]
  },
  {
    "username": "*",
    "perms": ["status", "ready", "join-read-only"]
  }
]
`

test('the file of the rqlite security documents parses byte for byte', () => {
  assert.deepEqual(parseAccessFile(documentsFile), {
    ok: true,
    value: [
      { username: 'bob', password: 'secret1', perms: ['all'] },
      { username: 'mary', password: 'secret2', perms: ['query', 'backup', 'join'] },
      { username: '*', perms: ['status', 'ready', 'join-read-only'] },
    ],
  })
})

test("the older document's bcrypt entry parses, and so does an empty list: nobody but nobody", () => {
  const old = '[{"username":"mary","password":"$2a$10$fKRHxrEuyDTP6tXIiDycr.nyC8Q7UMIfc31YMyXHDLgRDyhLK3VFS","perms":["query"]}]'
  assert.equal(parseAccessFile(old).ok, true)
  assert.deepEqual(parseAccessFile('[]'), { ok: true, value: [] })
})

test('a cleartext password of more than 72 bytes is fine: only bcrypt stops there', () => {
  assert.equal(parseAccessFile(JSON.stringify([{ username: 'a', password: 'x'.repeat(100), perms: ['query'] }])).ok, true)
})

const good = { username: 'bob', password: 'p', perms: ['all'] }
const refusedEntries: readonly [title: string, code: string, entry: unknown][] = [
  ['a string for an entry', 'access_entry_malformed', 'bob'],
  ['null for an entry', 'access_entry_malformed', null],
  ['a list for an entry', 'access_entry_malformed', []],
  ['an unknown key, such as a mistyped one', 'access_entry_malformed', { username: 'a', password: 'p', perms: ['query'], perm: [] }],
  ['no username', 'access_entry_without_username', { password: 'p', perms: ['query'] }],
  ['an empty username', 'access_entry_without_username', { username: '', password: 'p', perms: ['query'] }],
  ['a username that is no string', 'access_entry_malformed', { username: 1, password: 'p', perms: ['query'] }],
  ['a username with a colon', 'access_entry_malformed', { username: 'a:b', password: 'p', perms: ['query'] }],
  ['no password', 'access_entry_without_password', { username: 'a', perms: ['query'] }],
  ['an empty password', 'access_entry_without_password', { username: 'a', password: '', perms: ['query'] }],
  ['a password that is no string', 'access_entry_malformed', { username: 'a', password: 5, perms: ['query'] }],
  ['a password with a NUL byte', 'access_entry_malformed', { username: 'a', password: 'a\0b', perms: ['query'] }],
  ['no permissions', 'access_entry_without_permissions', { username: 'a', password: 'p' }],
  ['empty permissions', 'access_entry_without_permissions', { username: 'a', password: 'p', perms: [] }],
  ['permissions that are no list', 'access_entry_malformed', { username: 'a', password: 'p', perms: 'all' }],
  ['an unknown permission', 'access_entry_unknown_permission', { username: 'a', password: 'p', perms: ['querry'] }],
  ['a permission in another case', 'access_entry_unknown_permission', { username: 'a', password: 'p', perms: ['All'] }],
  ['* with a password', 'access_entry_everyone_with_password', { username: '*', password: 'p', perms: ['status'] }],
  ['a username that stands in an earlier entry', 'access_entry_duplicate', good],
  ['a password of more than 1024 bytes', 'access_entry_password_too_long', { username: 'a', password: 'x'.repeat(1025), perms: ['query'] }],
  ['a hash that is cut short', 'access_entry_hash_malformed', { username: 'a', password: hash.slice(0, -1), perms: ['query'] }],
  ['a hash of an unknown kind', 'access_entry_hash_malformed', { username: 'a', password: hash.replace('$2b$', '$2x$'), perms: ['query'] }],
  [
    'a hash of cost 31, which would take days',
    'access_entry_hash_malformed',
    { username: 'a', password: hash.replace('$04$', '$31$'), perms: ['query'] },
  ],
]

for (const [title, code, entry] of refusedEntries) {
  test(`${title} refuses the whole file with the entry's position`, () => {
    const parsed = parseAccessFile(JSON.stringify([good, entry]))
    assert.equal(parsed.ok, false)
    assert.equal(!parsed.ok && parsed.problem.code, code)
    assert.equal(!parsed.ok && parsed.problem.position, 1)
  })
}

test('a file that is not JSON, or not a list, is refused without a position', () => {
  for (const [text, code] of [
    ['{', 'access_file_not_json'],
    ['', 'access_file_not_json'],
    ['{}', 'access_file_not_a_list'],
    ['null', 'access_file_not_a_list'],
  ] as const) {
    const parsed = parseAccessFile(text)
    assert.deepEqual(!parsed.ok && [parsed.problem.code, parsed.problem.position], [code, undefined])
  }
})

test("an entry never inherits the password or the permissions of the entry before it (rqlite's decoder did)", () => {
  const parsed = parseAccessFile('[{"username":"admin","password":"s","perms":["all"]},{"username":"bob","password":"b"}]')
  assert.equal(!parsed.ok && parsed.problem.code, 'access_entry_without_permissions')
})

test('a __proto__ in the file lends nothing to an entry', () => {
  const parsed = parseAccessFile('[{"username":"a","__proto__":{"password":"p","perms":["all"]}}]')
  assert.equal(!parsed.ok && parsed.problem.code, 'access_entry_malformed')
})

test('a key that stands twice in an entry refuses the file, however it is spelled and wherever it stands', () => {
  const texts = [
    '[{"username":"a","password":"p","perms":["query"],"perms":["all"]}]',
    String.raw`[{"username":"a","password":"p","perms":["query"],"per\u006ds" : ["all"]}]`,
  ]
  for (const text of texts) {
    const parsed = parseAccessFile(text)
    assert.deepEqual(!parsed.ok && [parsed.problem.code, parsed.problem.position], ['access_entry_malformed', 0], text)
  }
  const second = parseAccessFile(
    '[{"username":"perms","password":"perms:","perms":["query"]},{"username":"b","username":"*","perms":["all"]}]',
  )
  assert.deepEqual(!second.ok && [second.problem.code, second.problem.position], ['access_entry_malformed', 1])
  assert.equal(parseAccessFile('[{"username":"perms","password":"a\\"perms\\":","perms":["query"]}]').ok, true)
})

test('no message holds a password, not even of a file that is cut off inside one', () => {
  const secret = 'hunter2-very-secret'
  const texts = [
    `[{"username":"a","password":"${secret}`,
    ...refusedEntries.map(([, , entry]) => JSON.stringify([{ username: 'first', password: secret, perms: ['all'] }, entry])),
    JSON.stringify([{ username: 'a', password: `$2b$${secret}`, perms: ['all'] }]),
    JSON.stringify([{ username: 'a', password: `${secret}\n`, perms: ['all'] }]),
  ]
  for (const text of texts) {
    const parsed = parseAccessFile(text)
    assert.equal(JSON.stringify(parsed.ok ? {} : parsed.problem).includes(secret), false, text)
  }
})
