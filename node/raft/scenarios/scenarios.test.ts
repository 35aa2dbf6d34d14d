// After a change that is meant: `npx node --test --test-update-snapshots node/raft/scenarios/scenarios.test.ts`, and read the difference.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { converse } from './conversation.ts'

const folder = import.meta.dirname
const files = readdirSync(folder).filter((name) => name.endsWith('.scenario.txt'))

test('there are scenarios', () => assert(files.length >= 5))

for (const name of files) {
  test(`scenario ${name.replace('.scenario.txt', '').replaceAll('-', ' ')} runs as written`, (t) => {
    const path = join(folder, name)
    t.assert.fileSnapshot(converse(readFileSync(path, 'utf8')), path, { serializers: [(value) => String(value)] })
  })
}
