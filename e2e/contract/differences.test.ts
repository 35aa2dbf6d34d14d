// Every difference that docs/compatibility.md names is seen by a test, and nothing is listed that the document does not name.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { differences } from './differences.ts'

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
    .filter((path) => !/differences\.(test\.)?ts$/.test(path))
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
