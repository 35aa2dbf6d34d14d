import assert from 'node:assert/strict'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { tokenName, tokenize } from './tokenizer.ts'

function kinds(text: string): string {
  const tokens = tokenize(text)
  return tokens.ok
    ? tokens.value.map((token) => `${token.kind}:${text.slice(token.start, token.end)}`).join(' ')
    : `defect at ${tokens.problem.offset}`
}

const cases: readonly (readonly [string, string])[] = [
  ['SELECT 1', 'word:SELECT number:1'],
  ['a--b\nc', 'word:a word:c'],
  ['a--b', 'word:a'],
  ['a/*;*/b', 'word:a word:b'],
  ['a/* never closed ; DROP', 'word:a'],
  ['a /*', 'word:a operator:/ operator:*'],
  ['/**/x', 'word:x'],
  ['/*/ still a comment */x', 'word:x'],
  ["'it''s; fine'", "string:'it''s; fine'"],
  ['"a""b" `c``d` [e"f]', 'quoted:"a""b" quoted:`c``d` quoted:[e"f]'],
  ["x'00fF' X''", "blob:x'00fF' blob:X''"],
  ["x'0'", 'defect at 0'],
  ["x'0g'", 'defect at 0'],
  ['1 1.5 .5 1. 1e5 1.5E-3 0x1F 1_000', 'number:1 number:1.5 number:.5 number:1. number:1e5 number:1.5E-3 number:0x1F number:1_000'],
  ['1e+5 1e5_0 .5_0e-1_0 0X1f_F', 'number:1e+5 number:1e5_0 number:.5_0e-1_0 number:0X1f_F'],
  ['1..5', 'number:1. number:.5'],
  ['1._5', 'defect at 0'],
  ['1__0', 'defect at 0'],
  ['1_', 'defect at 0'],
  ['0x_1', 'defect at 0'],
  ['1e_5', 'defect at 0'],
  ['1e+', 'defect at 0'],
  ['12abc', 'defect at 0'],
  ['1e', 'defect at 0'],
  ['0x', 'defect at 0'],
  ['? ?12 :a @b $c :1', 'parameter:? parameter:?12 parameter::a parameter:@b parameter:$c parameter::1'],
  [':', 'defect at 0'],
  ['#1', 'defect at 0'],
  ['a->b->>c', 'word:a operator:-> word:b operator:->> word:c'],
  ['a<=b<>c!=d==e||f', 'word:a operator:<= word:b operator:<> word:c operator:!= word:d operator:== word:e operator:|| word:f'],
  ['!', 'defect at 0'],
  ['a;b;', 'word:a semicolon:; word:b semicolon:;'],
  ['\u{feff}SELECT', 'word:SELECT'],
  ['a\u{feff}b', 'word:a\u{feff}b'],
  ['é_ü$1 名', 'word:é_ü$1 word:名'],
  ["'open", 'defect at 0'],
  ['"open', 'defect at 0'],
  ['[open', 'defect at 0'],
  ['SELECT \u0000', 'defect at 7'],
  ['SELECT\u000b1', 'defect at 6'],
  ['{', 'defect at 0'],
  ['\\', 'defect at 0'],
  ['^', 'defect at 0'],
]

for (const [text, expected] of cases) {
  test(`tokens of ${JSON.stringify(text)} are ${expected}`, () => {
    assert.equal(kinds(text), expected)
  })
}

test('a number may be as long as a text', () => {
  for (const number of [`1${'_1'.repeat(4_000_000)}`, `0x1${'_F'.repeat(4_000_000)}`, `.1${'_1'.repeat(4_000_000)}`]) {
    const tokens = tokenize(number)
    assert(tokens.ok)
    assert.deepEqual(
      tokens.value.map(({ kind, end }) => [kind, end]),
      [['number', number.length]],
    )
  }
})

test('a name is what stands between the quotes, with ASCII folded and nothing else', () => {
  const text = `"A""B" [C]]`
  const tokens = tokenize('"A""B" [Cd] `É` Word')
  assert(tokens.ok)
  assert.deepEqual(
    tokens.value.map((token) => tokenName('"A""B" [Cd] `É` Word', token)),
    ['a"b', 'cd', 'É', 'word'],
  )
  assert.equal(tokenize(text).ok, false)
})

test('SQLite calls every token illegal that the tokenizer refuses, wherever it is put', () => {
  const database = new Database(':memory:')
  for (const [text, expected] of cases) {
    if (!expected.startsWith('defect')) continue
    if (text.includes('\0')) continue // the engine takes NUL for the end of the text; refusing it is stricter
    assert.throws(() => database.prepare(`SELECT 1 WHERE ${text}`), /unrecognized token|near|incomplete|syntax/)
  }
  database.close()
})

test('tokens never overlap, and between them there is only white space and comments', () => {
  const piece = fc.constantFrom(
    "'",
    '"',
    '`',
    '[',
    ']',
    '/*',
    '*/',
    '--',
    '\n',
    ' ',
    ';',
    'x',
    '1',
    '.',
    'e',
    '_',
    '$',
    ':',
    '?',
    '\u{feff}',
    '(',
    ')',
    'é',
    "x'",
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (parts) => {
      const text = parts.join('')
      const tokens = tokenize(text)
      if (!tokens.ok) return
      let at = 0
      for (const token of tokens.value) {
        assert(token.start >= at && token.end > token.start)
        assert.match(text.slice(at, token.start), /^(?:\s|\u{feff}|--[^\n]*(?:\n|$)|\/\*[^]*?(?:\*\/|$))*$/u)
        at = token.end
      }
    }),
    { numRuns: 2000 },
  )
})

test('what the engine prepares without a complaint, the tokenizer can read', () => {
  const database = new Database(':memory:')
  const piece = fc.constantFrom(
    "'a'",
    '"',
    '`',
    '[',
    ']',
    '/*',
    '*/',
    '--',
    '\n',
    ' ',
    '1',
    '.5',
    'e',
    '0x1',
    ':a',
    '?',
    '?3',
    '(',
    ')',
    'é',
    "x'ab'",
    '+',
    '-',
    '->',
    ',',
    'AS',
    '1_0',
    '\u{feff}',
  )
  let prepared = 0
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (parts) => {
      const text = `SELECT 1 ${parts.join('')}`
      try {
        database.prepare(text)
      } catch {
        return // not a statement
      }
      prepared += 1
      assert.equal(tokenize(text).ok, true, text)
    }),
    { numRuns: 20_000 },
  )
  assert(prepared > 100, `only ${prepared} texts were statements`)
  database.close()
})
