// The house rules over the whole tree, and each rule over a small sample that breaks it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseNodeArguments } from './runtime/flags.ts'
import { forbiddenImports, rooms } from './tidy/arrows.ts'
import * as rules from './tidy/rules.ts'
import type { Rule } from './tidy/rules.ts'
import { metricDocs, unreadMetrics } from './tidy/metric-docs.ts'
import { thirdPartyLicenses } from './tidy/third-party-licenses.ts'
import { importsOf, readTree } from './tidy/source-file.ts'

const tree = readTree(import.meta.dirname)
const driverRooms = ['e2e', 'e2e/apiserver', 'e2e/contract', 'e2e/processes', 'e2e/images', 'bench']
const readmes = rules.roomReadmes([...Object.keys(rooms), ...driverRooms])

/** Title, rule, and samples that it must find fault with. */
const cases: readonly (readonly [string, Rule, readonly (readonly [path: string, text: string])[]])[] = [
  [
    'rooms import only what an arrow allows',
    forbiddenImports,
    [
      ['node/raft/x.ts', "import { a } from '../store/a.ts'"],
      ['node/raft/x.ts', "import { readFileSync } from 'node:fs'"],
      ['node/raft/x.ts', "import type { Log } from '../../runtime/log.ts'"],
      ['node/peer/x.ts', "import { step } from '../raft/raft.ts'"],
      ['node/api/x.ts', "import { Store } from '../store/store.ts'"],
      ['node/api/write-x.ts', "import { Store } from '../store/store.ts'"],
      ['node/log/x.ts', "import { a } from '../store/open-store.ts'"],
      ['node/access/x.ts', "import {\n  a,\n} from '../api/a.ts'"],
      ['node/raft/x.ts', "export * from '../replica/replica.ts'"],
      ['node/raft/x.ts', "const a = await import('../store/a.ts')"],
      ['operator/desired/x.ts', "import { a } from '../kube/kube.ts'"],
      ['operator/reconcile/x.ts', "import { ClientKube } from '../kube/client-kube.ts'"],
      ['operator/kube/x.test.ts', "import { a } from '../../node/raft/raft.ts'"],
      ['node/main.ts', "import { a } from '../operator/kube/kube.ts'"],
      ['node/api/x.ts', "import { a } from '../main.ts'"],
      ['contract/x.ts', "import express from 'express'"],
      ['operator/strange/x.ts', ''],
    ],
  ],
  [
    'files are named by one concept',
    rules.fileNames,
    ['utils', 'raft-helpers', 'index', 'types', 'Upper', 'snake_case', 'common'].map((name) => [`node/raft/${name}.ts`, '']),
  ],
  ['files have at most 400 lines', rules.fileSizes, [['node/raft/x.ts', 'a\n'.repeat(401)]]],
  [
    'programs alone speak to the process',
    rules.processInEntriesOnly,
    [
      ['node/raft/x.ts', 'const a = process.env'],
      ['runtime/x.ts', 'process.exit(1)'],
      ['node/store/write-x.ts', 'process.exit(1)'],
    ],
  ],
  [
    'the node starts processes in one way',
    rules.oneWayToStartProcesses,
    [
      ['node/files/x.ts', "import { fork } from 'node:child_process'"],
      ['node/main.ts', "import { spawn } from 'node:child_process'"],
    ],
  ],
  ['nobody writes to the console', rules.noConsole, [['node/raft/x.ts', 'console.log(1)']]],
  ['everything is exported by name', rules.noDefaultExport, [['node/raft/x.ts', 'export default 1']]],
  ['open tasks name their issue', rules.noOpenTasks, [['node/raft/x.ts', '// TODO: later']]],
  [
    'no test is skipped without a reason',
    rules.noSkippedTests,
    [
      ['node/raft/x.test.ts', "test.skip('a', () => {})"],
      ['node/raft/x.test.ts', "test('a', { skip: true }, () => {})"],
      ['node/raft/x.test.ts', "test.only('a', () => {})"],
    ],
  ],
  ['every test file holds a test', rules.testsInTestFiles, [['node/raft/x.test.ts', 'const a = 1']]],
  ['no file names this machine', rules.noWordOfThisMachine, [['docs/x.md', `see ${['', 'work', 'main'].join('/')}`]]],
  [
    'every room has a short README',
    readmes,
    [
      ['node/raft/x.ts', ''],
      ['node/peer/README.md', 'a\n'.repeat(61)],
    ],
  ],
  ['every file is used', rules.noDeadFiles, [['node/raft/x.ts', '']]],
  [
    'package.json pins exact versions',
    rules.exactVersions,
    [
      ['package.json', '{"dependencies":{"zod":"^4.0.0"}}'],
      ['package.json', '{"devDependencies":{"zod":"latest"}}'],
    ],
  ],
]

for (const [title, rule, samples] of cases) {
  test(title, () => {
    assert.deepEqual(rule(tree), [])
  })

  test(`the check fails when broken: ${title}`, () => {
    for (const [path, text] of samples) {
      const needed = path.endsWith('README.md') ? [{ path: path.replace('README.md', 'x.ts'), text: '' }] : []
      assert.equal(rule([{ path, text }, ...needed]).length, 1, `${path}: ${text.slice(0, 80)}`)
    }
  })
}

/** Names of all fields, those of nested objects included. */
function fieldsOf(value: object): readonly string[] {
  return Object.entries(value).flatMap(([name, inner]) => [
    name,
    ...(typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? fieldsOf(inner) : []),
  ])
}

test('no flag is accepted without effect: the program reads every field of its configuration', () => {
  const command = parseNodeArguments(['-http-cert', 'c', '-http-key', 'k', '-node-cert', 'c', '-node-key', 'k', 'data'])
  assert.ok(command.ok && command.value.kind === 'run')
  const isProgram = (path: string): boolean => path === 'node/main.ts' || (path.startsWith('node/lifecycle/') && !path.endsWith('.test.ts'))
  const program = tree
    .filter(({ path }) => isProgram(path))
    .map(({ text }) => text)
    .join('\n')
  const unread = fieldsOf(command.value.configuration).filter((field) => !new RegExp(`\\b${field}\\b`).test(program))
  assert.deepEqual(unread, [])
})

test('docs/metrics.md says what the code says', () => {
  assert.equal(tree.find(({ path }) => path === 'docs/metrics.md')?.text, metricDocs(tree), 'run: node tidy/write-metric-docs.ts')
  assert.deepEqual(unreadMetrics(tree), [])
})

test('the licences that /licenses shows are those of the production dependencies', () => {
  const shown = tree.find(({ path }) => path === 'node/api/third-party-licenses.txt')?.text
  assert.ok(shown === thirdPartyLicenses(import.meta.dirname), 'run: node tidy/write-licenses.ts')
  assert.match(shown, /^better-sqlite3 \d/m)
  assert.doesNotMatch(shown, /^typescript \d/m)
})

test('a metric is read with kind, labels and help, and one that cannot be read is found', () => {
  const text = "m.counter({\n  name: 'securesql_a_total',\n  help: 'What it counts.',\n  labels: { code: codes, kind: ['a'] },\n})"
  assert.match(metricDocs([{ path: 'node/x.ts', text }]), /\| `securesql_a_total` \| counter \| `code`, `kind` \| What it counts\. \|/)
  assert.equal(unreadMetrics([{ path: 'node/x.ts', text: "make({ name: 'securesql_b', other: 1 })" }]).length, 1)
})

test('what the arrows allow is not found fault with', () => {
  const allowed = [
    ['node/peer/x.ts', "import type { Message } from '../raft/message.ts'\nimport type { ForwardedRequest } from '../api/forwarder.ts'"],
    ['node/main.ts', "import { a } from './store/a.ts'\nimport { b } from '../runtime/b.ts'"],
    ['node/raft/x.test.ts', "import { a } from '../store/a.ts'\nimport { test } from 'node:test'"],
    ['operator/local/demo.ts', "import { a } from '../reconcile/a.ts'"],
    ['e2e/processes/x.ts', "import { a } from '../../node/store/a.ts'"],
    ['node/raft/x.ts', "import { ok } from '../../runtime/result.ts'\nimport assert from 'node:assert/strict'"],
  ].map(([path = '', text = '']) => ({ path, text }))
  assert.deepEqual(forbiddenImports(allowed), [])
})

test('the tree was read: it holds sources, and their imports are seen', () => {
  const imports = tree.filter(({ path }) => path.endsWith('.ts')).flatMap((file) => importsOf(file))
  assert.ok(tree.length > 100 && imports.length > 300, `${tree.length} files, ${imports.length} imports`)
  for (const room of ['contract', 'runtime', 'node/raft', 'operator/resource'])
    assert.ok(
      tree.some(({ path }) => path.startsWith(`${room}/`)),
      room,
    )
})
