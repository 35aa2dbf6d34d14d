import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Column, SqlValue, StatementResult } from '../command/command.ts'
import { atOnce } from '../command/steps.ts'
import { resultsJson } from './results-json.ts'
import type { ResultsFormat } from './results-json.ts'

const plain: ResultsFormat = {
  associative: false,
  blobArray: false,
  timings: false,
  pretty: false,
  qualifyColumns: false,
  isQuery: false,
  bytesMax: 1_000_000,
}

function json(results: readonly StatementResult[], format: Partial<ResultsFormat> = {}): string | undefined {
  return atOnce(resultsJson({ results, seconds: 0.5, raftIndex: undefined }, { ...plain, ...format }))
}

function rows(columns: readonly [name: string, declaredType: string][], values: readonly (readonly SqlValue[])[]): StatementResult {
  return { kind: 'rows', columns: columns.map(([name, declaredType]): Column => ({ name, declaredType })), rows: values, seconds: 0 }
}

function one(value: SqlValue, declaredType: string, format: Partial<ResultsFormat> = {}): string {
  const text = json([rows([['c', declaredType]], [[value]])], format) ?? ''
  return text.slice(text.indexOf('"values":[[') + 11, text.lastIndexOf(']]}'))
}

const written: StatementResult = { kind: 'written', lastInsertId: 1n, rowsAffected: 1, seconds: 0 }
const fiona = rows(
  [
    ['id', 'integer'],
    ['name', 'text'],
  ],
  [[1, 'fiona']],
)

// The vectors of rqlite's own tests.
const vectors: readonly [title: string, result: StatementResult, format: Partial<ResultsFormat>, expected: string][] = [
  [
    'execute CREATE TABLE on a fresh connection',
    { kind: 'written', lastInsertId: 0n, rowsAffected: 0, seconds: 0 },
    {},
    '{"results":[{}]}',
  ],
  ['execute INSERT', written, {}, '{"results":[{"last_insert_id":1,"rows_affected":1}]}'],
  [
    'execute INSERT into a missing table',
    { kind: 'error', message: 'no such table: bar', seconds: 0 },
    {},
    '{"results":[{"error":"no such table: bar"}]}',
  ],
  [
    'execute nonsense',
    { kind: 'error', message: 'near "blah": syntax error', seconds: 0 },
    {},
    String.raw`{"results":[{"error":"near \"blah\": syntax error"}]}`,
  ],
  [
    'query without rows',
    rows(
      [
        ['id', 'integer'],
        ['name', 'text'],
      ],
      [],
    ),
    {},
    '{"results":[{"columns":["id","name"],"types":["integer","text"]}]}',
  ],
  ['query with rows', fiona, {}, '{"results":[{"columns":["id","name"],"types":["integer","text"],"values":[[1,"fiona"]]}]}'],
  [
    'query, associative',
    fiona,
    { associative: true },
    '{"results":[{"types":{"id":"integer","name":"text"},"rows":[{"id":1,"name":"fiona"}]}]}',
  ],
  [
    'execute INSERT, associative',
    { kind: 'written', lastInsertId: 99n, rowsAffected: 1, seconds: 0 },
    { associative: true },
    '{"results":[{"last_insert_id":99,"rows_affected":1,"rows":null}]}',
  ],
  [
    'UPDATE … RETURNING without a match, associative',
    rows([['name', 'text']], []),
    { associative: true },
    '{"results":[{"types":{"name":"text"},"rows":[]}]}',
  ],
  [
    'COUNT(*) is an integer',
    rows([['COUNT(*)', '']], [[2n]]),
    {},
    '{"results":[{"columns":["COUNT(*)"],"types":["integer"],"values":[[2]]}]}',
  ],
  ['SELECT 1', rows([['1', '']], [[1n]]), {}, '{"results":[{"columns":["1"],"types":["integer"],"values":[[1]]}]}'],
]

for (const [title, result, format, expected] of vectors) {
  test(`vector: ${title}`, () => assert.equal(json([result], format), expected))
}

test('timings stand in each item and in the envelope, the Raft index last', () => {
  const text = atOnce(resultsJson({ results: [{ ...written, seconds: 0.25 }], seconds: 0.5, raftIndex: 12 }, { ...plain, timings: true }))
  assert.equal(text, '{"results":[{"last_insert_id":1,"rows_affected":1,"time":0.25}],"time":0.5,"raft_index":12}')
})

test('pretty indents by four spaces', () => {
  assert.equal(
    json([written, rows([['a', '']], [])], { pretty: true }),
    [
      '{',
      '    "results": [',
      '        {',
      '            "last_insert_id": 1,',
      '            "rows_affected": 1',
      '        },',
      '        {',
      '            "columns": [',
      '                "a"',
      '            ],',
      '            "types": [',
      '                ""',
      '            ]',
      '        }',
      '    ]',
      '}',
    ].join('\n'),
  )
})

const values: readonly [title: string, value: SqlValue, declaredType: string, expected: string][] = [
  ['the largest integer', 9223372036854775807n, 'integer', '9223372036854775807'],
  ['the smallest integer', -9223372036854775808n, 'integer', '-9223372036854775808'],
  ['a real', 1.5, 'real', '1.5'],
  ['a large real', 1e21, 'real', '1e+21'],
  ['a small real', 1e-7, 'real', '1e-7'],
  ['minus zero', -0, 'real', '-0'],
  ['infinity, for which JSON has no word', Infinity, 'real', 'null'],
  ['NULL', null, 'text', 'null'],
  ['text in a BLOB column', 'fiona', 'blob', '"fiona"'],
  ['a blob', Uint8Array.from([0xde, 0xad, 0xbe, 0xef]), 'blob', '"3q2+7w=="'],
  ['an empty blob', new Uint8Array(), 'blob', '""'],
  ['a blob in a text column', Buffer.from('héllo'), 'text', '"héllo"'],
  ['a blob in a varchar(10) column', Buffer.from('a'), 'varchar(10)', '"a"'],
  ['bytes that are no text in a text column', Uint8Array.from([0xff]), 'text', '"/w=="'],
  ['1 in a BOOLEAN column', 1n, 'boolean', 'true'],
  ['a REAL in a BOOLEAN column', 1, 'boolean', '1'],
  ['0 in a BOOLEAN column', 0n, 'boolean', 'false'],
  ['text in a BOOLEAN column', 'yes', 'boolean', '"yes"'],
  ['seconds in a DATETIME column', 1704164645n, 'datetime', '"2024-01-02T03:04:05Z"'],
  ['text in a DATETIME column', '2024-01-02 03:04:05', 'datetime', '"2024-01-02T03:04:05Z"'],
  ['text in a column of another type', '2024-01-02 03:04:05', 'text', '"2024-01-02 03:04:05"'],
  ['characters that JSON escapes', 'a"\\\n\t\u0001', 'text', String.raw`"a\"\\\n\t\u0001"`],
  ['characters that HTML escapes are left alone', '<a&b>', 'text', '"<a&b>"'],
  ['line separators of JavaScript', '\u2028', 'text', String.raw`"\u2028"`],
]

for (const [title, value, declaredType, expected] of values) {
  test(`value: ${title} is ${expected}`, () => assert.equal(one(value, declaredType), expected))
}

test('blob_array shows blobs as lists of bytes', () => {
  assert.equal(one(Uint8Array.from([222, 173, 190, 239]), 'blob', { blobArray: true }), '[222,173,190,239]')
  assert.equal(one(new Uint8Array(), 'blob', { blobArray: true }), '[]')
})

function typeOfFirst(value: SqlValue): string {
  return /"types":\["(\w*)"\]/.exec(json([rows([['x', '']], [[value]])]) ?? '')?.[1] ?? '?'
}

test("an expression's type is that of its first row", () => {
  assert.deepEqual([1n, 1, 1.5, 2n ** 60n, 'a', Uint8Array.from([0xff]), null].map(typeOfFirst), [
    'integer',
    'real',
    'real',
    'integer',
    'text',
    'blob',
    '',
  ])
})

test('associative: names are sorted, the last column of a name wins, and no name is special', () => {
  const result = rows(
    [
      ['b', 'text'],
      ['a', 'text'],
      ['b', 'text'],
      ['__proto__', 'text'],
      ['10', 'text'],
      ['9', 'text'],
    ],
    [['1', '2', '3', '4', '5', '6']],
  )
  assert.equal(
    json([result], { associative: true }),
    '{"results":[{"types":{"10":"text","9":"text","__proto__":"text","a":"text","b":"text"},"rows":[{"10":"5","9":"6","__proto__":"4","a":"2","b":"3"}]}]}',
  )
})

test('a result over the limit is not built', () => {
  const row = ['x'.repeat(100)]
  const results = [
    rows(
      [['a', 'text']],
      Array.from({ length: 100 }, () => row),
    ),
  ]
  assert.equal(json(results, { bytesMax: 5000 }), undefined)
  assert.ok(json(results, { bytesMax: 20_000 }))
  assert.equal(
    json(
      Array.from({ length: 100 }, () => rows([['a', 'text']], [row])),
      { bytesMax: 5000 },
    ),
    undefined,
  )
})

test('very many results, and very many rows of one, are written in steps', () => {
  const results = Array.from({ length: 40_000 }, () => written)
  const long = rows(
    [['c', 'text']],
    Array.from({ length: 40_000 }, () => ['x']),
  )
  for (const given of [results, [long]]) {
    let steps = 0
    const writing = resultsJson({ results: given, seconds: 0.5, raftIndex: undefined }, { ...plain, bytesMax: 10_000_000 })
    while (writing.next().done !== true) steps += 1
    assert.ok(steps >= 8, `${steps} steps`)
  }
})
