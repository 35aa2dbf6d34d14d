// rqlite's expectations of a database in which nothing has happened yet: its counters are still 0.
import assert from 'node:assert/strict'
import type { ContractCase } from './contract-place.ts'

export const firstVectors: readonly ContractCase[] = [
  {
    title: 'execute CREATE TABLE on a fresh database',
    run: async (place) => {
      assert.equal(await place.execute(['CREATE TABLE foo (id INTEGER NOT NULL PRIMARY KEY, name TEXT)']), '{"results":[{}]}')
    },
  },
  {
    title: 'execute INSERT of the first row',
    run: async (place) => {
      assert.equal(await place.execute(["INSERT INTO foo(name) VALUES('fiona')"]), '{"results":[{"last_insert_id":1,"rows_affected":1}]}')
    },
  },
  {
    title: 'execute DROP TABLE after that shows the counters of the connection',
    run: async (place) => {
      assert.equal(await place.execute(['DROP TABLE foo']), '{"results":[{"last_insert_id":1,"rows_affected":1}]}')
    },
  },
]
