import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { identityOf } from '../operator/local/process-identity.ts'
import { runNodeTests } from './node-runner.ts'

// Otherwise the runner takes itself for a file of the runner that runs this test.
const { NODE_TEST_CONTEXT: _context, ...environment } = process.env

/** Hung, but not before the file has said who it is: on a busy machine that takes longer than the first times. */
async function hang(source: string): Promise<{ readonly code: number; readonly lines: readonly string[]; readonly pid: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-node-runner-'))
  const told = join(folder, 'pid')
  const file = join(folder, 'hangs.test.mjs')
  writeFileSync(
    file,
    `import { writeFileSync } from 'node:fs'\nimport { test } from 'node:test'\n${source}\nwriteFileSync('${told}', String(process.pid))\n`,
  )
  try {
    for (const silentMsMax of [2_000, 10_000, 50_000]) {
      const lines: string[] = []
      const code = await runNodeTests({ arguments: [file], environment, silentMsMax, take: (line) => lines.push(line) })
      if (existsSync(told)) return { code, lines, pid: Number(readFileSync(told, 'utf8')) }
    }
    throw new Error('the file never began')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test(
  'a file that something keeps alive behind its last test is named and ended, and the run has failed',
  { timeout: 300_000 },
  async () => {
    const { code, lines, pid } = await hang(`test('passes', () => { setInterval(() => {}, 1000) })`)
    assert.notEqual(code, 0)
    const said = lines.join('\n')
    assert.match(said, /no test has ended for \d+ s/)
    assert.match(said, /Interrupted while running:[^]*hangs\.test\.mjs/)
    await gone(pid)
  },
)

test('so is one in an endless loop, which hears no SIGTERM', { timeout: 300_000, skip: process.platform !== 'linux' }, async () => {
  const { code, pid } = await hang(`process.on('SIGTERM', () => {})\ntest('loops', () => { for (;;); })`)
  assert.notEqual(code, 0)
  await gone(pid)
})

test('a run in which every file ends gives the exit code of the runner', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-node-runner-'))
  try {
    const file = join(folder, 'ends.test.mjs')
    writeFileSync(file, `import { test } from 'node:test'\ntest('passes', () => {})\n`)
    const lines: string[] = []
    assert.equal(await runNodeTests({ arguments: [file], environment, silentMsMax: 300_000, take: (line) => lines.push(line) }), 0)
    assert.ok(lines.includes('ℹ pass 1'))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** The limit of the test ends what hangs. */
async function gone(pid: number): Promise<void> {
  while (identityOf(pid) !== undefined) await new Promise((resolve) => setTimeout(resolve, 100))
}
