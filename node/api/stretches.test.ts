import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { ManualClock } from '../replica/manual-clock.ts'
import type { ApiParts } from './api-parts.ts'
import type { ApiRequest } from './exchange.ts'
import { LargeTurns } from './large-turns.ts'
import { Stretches } from './stretches.ts'

test('what was carried out is written one in a turn, though nobody waits for it any more', async (context) => {
  let nowMs = performance.now()
  context.mock.method(performance, 'now', () => (nowMs += 25))
  const soon: (() => void)[] = []
  const clock = new ManualClock()
  clock.soon = (callback) => void soon.push(callback)
  const parts = { largeTurns: new LargeTurns(clock) } as ApiParts
  const request = { identity: { kind: 'anonymous' }, isAbandoned: () => true, deadlineAtMs: 0 } as ApiRequest
  const written = new Set<string>()
  const finish = (name: string): Promise<string> =>
    new Stretches(parts, request).finish(
      (function* () {
        for (let step = 0; step < 6; step += 1) {
          written.add(name)
          yield
        }
        return name
      })(),
    )
  const finishing = Promise.all([finish('a'), finish('b'), finish('c')])
  await setImmediate()
  for (let turn = soon.shift(); turn !== undefined; turn = soon.shift()) {
    written.clear()
    turn()
    await setImmediate()
    assert.ok(written.size <= 1, [...written].join())
  }
  assert.deepEqual(await finishing, ['a', 'b', 'c'])
})
