import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const watch = new URL('hang-watch.ts', import.meta.url).href

function run(body: string): { readonly signal: NodeJS.Signals | null; readonly status: number | null; readonly stdout: string } {
  const program = `const { HangWatch } = await import('${watch}')\n${body}`
  return spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    timeout: 120_000,
    killSignal: 'SIGKILL',
  })
}

test('what never ends is named and ends the process, also where the main thread hears nothing', () => {
  const { signal, stdout } = run(`;(await HangWatch.start({ msMax: 100 })).begin('an endless loop')\nfor (;;);`)
  assert.equal(signal, 'SIGTERM')
  assert.match(stdout, /^HANG: not over after 0\.1 s: an endless loop\n0 passed, 1 failed\n$/)
})

test('so is news that never come', () => {
  const { signal, stdout } = run(`;(await HangWatch.start({ msMax: 100 })).begin('news')\nawait new Promise(() => {})`)
  assert.equal(signal, 'SIGTERM')
  assert.match(stdout, /news/)
})

test('a run that is closed ends by itself', () => {
  const { status, stdout } = run(`const watch = await HangWatch.start({ msMax: 100_000 })\nwatch.begin('short')\nawait watch.close()`)
  assert.deepEqual({ status, stdout }, { status: 0, stdout: '' })
})
