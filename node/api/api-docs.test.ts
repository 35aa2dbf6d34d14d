// docs/api.md and docs/errors.md say what the code does: every path with its methods and permissions, every parameter, every code, and no other.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { refusalCodes } from '../../contract/refusal.ts'
import { openFixture } from './api-fixture.ts'
import { endpointsOf } from './endpoints.ts'
import type { ApiParts } from './api-parts.ts'

const root = join(import.meta.dirname, '..', '..')
const document = readFileSync(join(root, 'docs', 'api.md'), 'utf8')

/** Cells of the rows below a heading, of tables whose first row of titles begins with `title`. */
function rowsOf(heading: string, title: string): readonly (readonly string[])[] {
  const section = document.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const rows = section
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.slice(2).split(' | '))
  const first = rows.findIndex(([cell]) => cell === title)
  assert.notEqual(first, -1, `a table of ${title} below ${heading}`)
  return rows.slice(first + 1)
}

function words(cell: string | undefined): readonly string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
}

test('docs/api.md lists every path with its methods and permissions, and no other', () => {
  const documented = rowsOf('Endpoints', 'path').flatMap(([paths, methods, permission]) =>
    words(paths).map((path) => `${path}: ${methods}: ${words(permission).join(' and ')}`),
  )
  const later = /^Not yet, answered with 501[^\n]*/m.exec(document)?.[0] ?? ''
  // What an endpoint works with is not touched when the table is made.
  const known = endpointsOf({} as ApiParts)
  const refusedByName = known.filter(({ path }) => words(later).includes(path.replace(/\/\*$/, '')))
  const served = known
    .filter((endpoint) => !refusedByName.includes(endpoint))
    .map(({ path, methods, permissions }) => `${path}: ${methods.length >= 5 ? 'any' : methods.join(', ')}: ${permissions.join(' and ')}`)
  assert.deepEqual(documented.toSorted(), served.toSorted())
  assert.deepEqual(
    words(later).filter((word) => word.startsWith('/')),
    [...new Set(refusedByName.map(({ path }) => path.replace(/\/\*$/, '')))],
  )
})

test('what docs/api.md says is not there yet is refused so', async (context) => {
  const api = await openFixture(context)
  const later = words(/^Not yet, answered with 501[^\n]*/m.exec(document)?.[0]).filter((word) => word.startsWith('/'))
  for (const path of [...later, '/console/']) {
    const method = endpointsOf({} as ApiParts).find((endpoint) => endpoint.path === path)?.methods[0] ?? ''
    const answer = await api.ask(path, { method, ...(method === 'GET' ? {} : { body: 'x' }) })
    assert.deepEqual([answer.status, answer.headers['x-securesql-code']], [501, 'not_supported_yet'], path)
  }
})

function sourcesBelow(folder: string, wanted: (path: string) => boolean): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && wanted(path))
    .map((path) => readFileSync(join(root, folder, path), 'utf8'))
}

// Accepted without effect: rqlite's clients send them, and what they ask for is always so, or never.
const withoutEffect = ['retries', 'noparse', 'norwrandom', 'norwtime']

test('docs/api.md lists every parameter that is read, those that are accepted without effect, and no other', () => {
  const code = sourcesBelow('node/api', (path) => !path.endsWith('.test.ts')).join('\n')
  const read = [...code.matchAll(/parameters\s*\.(?:has|text|durationMs|integer)\('([a-z_]+)'\)/g)].map((match) => match[1] ?? '')
  const documented = rowsOf('Parameters', 'parameter').flatMap(([names]) => words(names))
  assert.deepEqual([...new Set(documented)].toSorted(), [...new Set([...read, ...withoutEffect])].toSorted())
})

test('every code of docs/errors.md is given somewhere, and some test sees it', () => {
  const code = sourcesBelow('node', (path) => !path.endsWith('.test.ts')).join('\n')
  const tests = [...sourcesBelow('node', (path) => path.endsWith('.test.ts')), ...sourcesBelow('e2e', () => true)].join('\n')
  assert.deepEqual(
    refusalCodes.filter((word) => !code.includes(`'${word}'`)),
    [],
    'given by no code',
  )
  assert.deepEqual(
    refusalCodes.filter((word) => !new RegExp(`\\b${word}\\b`).test(tests)),
    [],
    'seen by no test',
  )
})
