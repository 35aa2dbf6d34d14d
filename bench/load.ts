// Runs the load generator once, in a process of its own, and brings its report back.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { LoadOrder, LoadReport } from './load-order.ts'

export async function runLoad(order: LoadOrder): Promise<LoadReport> {
  const child = fork(join(import.meta.dirname, 'load-generator.ts'))
  child.send(order)
  const gone = once(child, 'exit')
  const result = await Promise.race([once(child, 'message'), gone.then(() => undefined)])
  await gone
  if (result === undefined) throw new Error('the load generator failed')
  return result[0] as LoadReport
}
