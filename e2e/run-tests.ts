// `npm test`: every *.test.ts beside the code, by node's own runner. `npm test -- raft` runs the files whose path contains "raft"; options of `node --test` need
// their value behind an equals sign (`--test-name-pattern=vote`). A run in which no test ran is a failure, not a success.
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { selectTests, testFiles, testsInSummary } from './test-files.ts'

const root = new URL('..', import.meta.url).pathname
// Files wait for processes and timers more than they compute; beyond four they only slow one another down.
const concurrency = Math.min(4, Math.max(2, availableParallelism()))
// Far above the slowest test on a loaded machine: this ends what hangs.
const testTimeoutMs = 120_000
// The summary is the last thing the reporter writes; it fits well into this.
const tailChars = 16_384

const selected = selectTests(testFiles(root), process.argv.slice(2))
if (selected.files.length === 0) {
  console.error('no test file matches')
  process.exit(1)
}

const runner = spawn(
  process.execPath,
  [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${testTimeoutMs}`,
    ...selected.options,
    ...selected.files,
  ],
  { cwd: root, stdio: ['inherit', 'pipe', 'inherit'] },
)
let tail = ''
runner.stdout.setEncoding('utf8')
runner.stdout.on('data', (text: string) => {
  tail = (tail + text).slice(-tailChars)
  process.stdout.write(text)
})
runner.on('close', (code, signal) => {
  const tests = testsInSummary(tail)
  if (code === 0 && (tests === undefined || tests === 0)) console.error('no test ran')
  process.exitCode = code === 0 && tests !== undefined && tests > 0 ? 0 : signal === null && code !== 0 ? (code ?? 1) : 1
})
