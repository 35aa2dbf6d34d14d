// The small write that is measured, and the table that it goes into.
import type { LoadOrder } from './load-order.ts'

export const tableOfWrites = 'CREATE TABLE bench (id INTEGER PRIMARY KEY, v TEXT)'

/** One request with one row of 64 bytes. */
export const measuredWrite = {
  path: '/db/execute',
  body: [['INSERT INTO bench(v) VALUES(?)', 'x'.repeat(64)]],
} satisfies Pick<LoadOrder, 'path' | 'body'>
