import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SqlValue } from '../command/command.ts'
import { atOnce } from '../command/steps.ts'
import { statementsIn } from './request-statements.ts'

const parseStatements = (body: Uint8Array, contentType: string) => atOnce(statementsIn(body, contentType))
const parse = (text: string, contentType = 'application/json') => parseStatements(new TextEncoder().encode(text), contentType)

function parametersOf(text: string): unknown {
  const parsed = parse(text)
  assert.ok(parsed.ok)
  const [statement] = parsed.value
  return statement?.parameters.values
}

const bound: readonly [json: string, value: SqlValue][] = [
  ['5', 5n],
  ['-5', -5n],
  ['-0', 0n],
  ['1.0', 1],
  ['-0.0', -0],
  ['1e3', 1000],
  ['1E+2', 100],
  ['1.50', 1.5],
  ['1.5', 1.5],
  ['9007199254740993', 9007199254740993n],
  ['9223372036854775807', 9223372036854775807n],
  ['-9223372036854775808', -9223372036854775808n],
  ['9223372036854775808', 2 ** 63],
  ['1234567890123456.5', 1234567890123456.5],
  ['"a"', 'a'],
  ['"12345678901234567890"', '12345678901234567890'],
  ['true', 1n],
  ['false', 0n],
  ['null', null],
  [`"x'deadBEEF'"`, Uint8Array.from([0xde, 0xad, 0xbe, 0xef])],
  [`"X'00'"`, Uint8Array.from([0])],
  [`"x''"`, new Uint8Array()],
  [`"x'abc'"`, "x'abc'"],
  [`"x'zz'"`, "x'zz'"],
  [`" x'00'"`, " x'00'"],
  ['[222,173,190,239]', Uint8Array.from([222, 173, 190, 239])],
]

for (const [json, value] of bound) {
  test(`the parameter ${json} is bound exactly`, () => assert.deepEqual(parametersOf(`[["SQL", ${json}]]`), [value]))
}

test('a REAL in a body leaves the other numbers what they are', () => {
  assert.deepEqual(parametersOf('[["SQL", 1.0, 1, [1, 2], 9007199254740993]]'), [1, 1n, Uint8Array.from([1, 2]), 9007199254740993n])
})

test('strings and lists mix in one body', () => {
  const parsed = parse('["SELECT 1", ["SELECT ?", 1], ["SELECT 2"]]')
  assert.deepEqual(parsed.ok && parsed.value.map(({ sql, parameters }) => [sql, parameters.values]), [
    ['SELECT 1', []],
    ['SELECT ?', [1n]],
    ['SELECT 2', []],
  ])
})

test('an object gives named parameters, whatever their names', () => {
  const values = parametersOf('[["SQL", {"name":"fiona","age":null,"__proto__":1,"constructor":9007199254740993}]]')
  assert.ok(values instanceof Map)
  assert.deepEqual(
    [...values],
    [
      ['name', 'fiona'],
      ['age', null],
      ['__proto__', 1n],
      ['constructor', 9007199254740993n],
    ],
  )
  assert.equal(({} as Record<string, unknown>)['name'], undefined)
})

const refused: readonly [body: string, code: string, message: RegExp][] = [
  ['[]', 'no_statements', /^no statements$/],
  ['', 'invalid_json', /^invalid JSON body$/],
  ['{', 'invalid_json', /^invalid JSON body$/],
  ['["a"', 'invalid_json', /^invalid JSON body$/],
  ['["a"] x', 'invalid_json', /^invalid JSON body$/],
  ['[01]', 'invalid_json', /^invalid JSON body$/],
  ['\ufeff["a"]', 'invalid_json', /^invalid JSON body$/],
  ['"SELECT 1"', 'invalid_request', /^invalid request$/],
  ['{"a":1}', 'invalid_request', /^invalid request$/],
  ['[5]', 'invalid_request', /^invalid request$/],
  ['[null]', 'invalid_request', /^invalid request$/],
  ['[[]]', 'invalid_request', /^invalid request$/],
  ['[[5]]', 'invalid_request', /^invalid request$/],
  ['[{"sql":"x"}]', 'invalid_request', /^invalid request$/],
  ['[["SQL", {"a":1}, 2]]', 'invalid_request', /named and positional/],
  ['[["SQL", [1,256]]]', 'unsupported_parameter_type', /^unsupported type list$/],
  ['[["SQL", [-1]]]', 'unsupported_parameter_type', /^unsupported type list$/],
  ['[["SQL", ["a"]]]', 'unsupported_parameter_type', /^unsupported type list$/],
  ['[["SQL", 1e400]]', 'unsupported_parameter_type', /^unsupported type number out of range$/],
  ['[["SQL", {"a":{}}]]', 'unsupported_parameter_type', /^unsupported type object$/],
]

for (const [body, code, message] of refused) {
  test(`the body ${JSON.stringify(body)} is refused as ${code}`, () => {
    const parsed = parse(body)
    assert.equal(!parsed.ok && parsed.problem.code, code)
    assert.match(parsed.ok ? '' : parsed.problem.message, message)
  })
}

test('bytes that are not UTF-8 are refused in both forms', () => {
  const bytes = Uint8Array.from([0x5b, 0x22, 0xff, 0x22, 0x5d])
  assert.equal(parseStatements(bytes, 'application/json').ok, false)
  assert.equal(parseStatements(bytes, 'text/plain').ok, false)
})

test('brackets nested by the hundred thousand are refused, with long numbers in them too, and nothing overflows', () => {
  for (const core of ['1', '12345678901234567890']) {
    const parsed = parse(`${'['.repeat(200_000)}${core}${']'.repeat(200_000)}`)
    assert.equal(parsed.ok, false)
  }
})

test('no message repeats a parameter', () => {
  const parsed = parse('[["SQL", {"a":{"secret":"hunter2"}}]]')
  assert.equal(JSON.stringify(parsed).includes('hunter2'), false)
})

test('a list of very many values is read in steps, to the same values', () => {
  const numbers = Array.from({ length: 10_000 }, (_, n) => n)
  const body = new TextEncoder().encode(JSON.stringify([['SQL', ...numbers]]))
  assert.deepEqual(parametersOf(JSON.stringify([['SQL', ...numbers]])), numbers.map(BigInt))
  let steps = 0
  for (const reading = statementsIn(body, ''); reading.next().done !== true;) steps += 1
  assert.equal(steps, 3)
  const wrong = parse(JSON.stringify([['SQL', ...numbers, ['a']]]))
  assert.ok(!wrong.ok && wrong.problem.code === 'unsupported_parameter_type')
  const mixed = parse(JSON.stringify([['SQL', ...numbers, { a: 1 }]]))
  assert.ok(!mixed.ok && mixed.problem.code === 'invalid_request')
})

test('very many statements are read in steps', () => {
  const body = new TextEncoder().encode(JSON.stringify(Array.from({ length: 10_000 }, () => 'SQL')))
  let steps = 0
  for (const reading = statementsIn(body, ''); reading.next().done !== true;) steps += 1
  assert.equal(steps, 2)
})
