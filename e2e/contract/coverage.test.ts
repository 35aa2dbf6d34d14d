// The documents and the suite cover the same: every difference that docs/compatibility.md names is seen by a test, every path and every parameter of docs/api.md is
// used by a case. That docs/api.md lists what the code has is held by node/api.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { differences } from './differences.ts'
import { routedPaths } from './routes.ts'

const root = join(import.meta.dirname, '..', '..')

/** First cells of rows and beginnings of items, by section. */
function named(): readonly string[] {
  const text = readFileSync(join(root, 'docs', 'compatibility.md'), 'utf8')
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('- ')) return [line.slice(2)]
    if (!line.startsWith('| ') || line.startsWith('| rqlite |')) return []
    return [line.slice(2)]
  })
}

function titles(): string {
  const files = ['contract', 'runtime', 'node', 'e2e', 'operator'].flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).map((path) => join(room, path)),
  )
  const holding = files.filter((path) => (path.endsWith('.test.ts') || path.startsWith(join('e2e', 'contract'))) && path.endsWith('.ts'))
  return holding
    .filter((path) => !/(differences|coverage\.test)\.ts$/.test(path))
    .map((path) => readFileSync(join(root, path), 'utf8'))
    .join('\n')
    .replaceAll("\\'", "'")
}

test('each difference from rqlite that is documented has an entry here', () => {
  const keys = Object.keys(differences)
  assert.deepEqual(
    named().filter((difference) => !keys.some((key) => difference.startsWith(key))),
    [],
    'not in e2e/contract/differences.ts',
  )
  assert.deepEqual(
    keys.filter((key) => !named().some((difference) => difference.startsWith(key))),
    [],
    'not in docs/compatibility.md',
  )
})

test('each difference is seen by a test that exists', () => {
  const text = titles()
  const missing = Object.entries(differences).flatMap(([key, seen]) =>
    'unseen' in seen ? [] : seen.see.filter((title) => !text.includes(title)).map((title) => `${key}: ${title}`),
  )
  assert.deepEqual(missing, [])
})

/** Words in the first cells of the rows of docs/api.md below a heading. */
function listed(heading: string): readonly string[] {
  const text = readFileSync(join(root, 'docs', 'api.md'), 'utf8')
  const rows = (text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('| `'))
  return rows.flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''))
}

test('each path of docs/api.md has its row among the routes', () => {
  assert.deepEqual(
    listed('Endpoints').filter((path) => !routedPaths.includes(path)),
    [],
  )
})

test('each parameter of docs/api.md is used by some case', () => {
  const cases = readdirSync(join(root, 'e2e', 'contract'), { encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .map((path) => readFileSync(join(root, 'e2e', 'contract', path), 'utf8'))
    .join('\n')
  assert.deepEqual(
    listed('Parameters').filter((name) => !new RegExp(`[?&]${name}\\b`).test(cases)),
    [],
  )
})
