import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from './endpoint.ts'
import { RouteTable } from './route-table.ts'

const endpoint = (path: string): Endpoint => ({
  path,
  methods: ['GET'],
  permissions: [],
  forwardable: false,
  alwaysServed: false,
  handle: () => Promise.resolve({ status: 200, headers: {}, body: '' }),
})
const routes = new RouteTable(['/', '/status', '/db/query', '/console/*'].map(endpoint))
const found = (path: string): string | undefined => routes.find(path)?.path

test('a path is found exactly, and one slash at the end makes no difference', () => {
  assert.equal(found('/status'), '/status')
  assert.equal(found('/status/'), '/status')
  assert.equal(found('/db/query'), '/db/query')
  assert.equal(found('/'), '/')
})

test('no other spelling of a path is the path', () => {
  for (const path of ['/Status', '/status//', '//status', '/db/quer%79', '/db', '/db/query/x', '/db/../status', 'status', ''])
    assert.equal(found(path), undefined, path)
})

test('a path with a star stands for everything below it and not for itself', () => {
  assert.equal(found('/console/a/b.js'), '/console/*')
  assert.equal(found('/console/'), undefined)
  assert.equal(found('/consoles'), undefined)
})
