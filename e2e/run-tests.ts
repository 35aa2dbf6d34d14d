// `npm test`: every *.test.ts beside the code, by node's own runner. `npm test -- raft` runs the files whose path contains "raft"; options of `node --test` need
// their value behind an equals sign (`--test-name-pattern=vote`). A run in which no test ran is a failure, not a success.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { runNodeTests } from './node-runner.ts'
import { selectTests, testFiles, countTests } from './test-files.ts'

const root = new URL('..', import.meta.url).pathname
// Files wait for processes and timers more than they compute; beyond four they only slow one another down.
const concurrency = Math.min(4, Math.max(2, availableParallelism()))
// Far above the slowest test on a loaded machine: this ends what hangs.
const testTimeoutMs = 400_000
// A test and the hook before it.
const silentMsMax = 2 * testTimeoutMs

// Every test file and every node that a test starts is a process: what one has stripped and compiled the others need not. Goes by the files' contents.
const compileCache = join(root, 'node_modules', '.cache', 'compiled')

const selected = selectTests(testFiles(root), process.argv.slice(2))
if (selected.files.length === 0) {
  console.error('no test file matches')
  process.exit(1)
}

// Lines of interest only (see countTests): the output of a long run is not kept in memory.
const lines: string[] = []
const code = await runNodeTests({
  arguments: [`--test-concurrency=${concurrency}`, `--test-timeout=${testTimeoutMs}`, ...selected.options, ...selected.files],
  directory: root,
  environment: { ...process.env, NODE_COMPILE_CACHE: compileCache },
  silentMsMax,
  take: (line) => {
    if (line.startsWith('ℹ tests ') || line.startsWith('✔ ')) lines.push(line)
    console.log(line)
  },
})
const { tests, emptyFiles } = countTests(lines, selected.files)
const named = selected.options.some((option) => option.startsWith('--test-name-pattern'))
if (!named && emptyFiles.length > 0) console.error(`no test in: ${emptyFiles.join(', ')}`)
if (tests === undefined || tests === 0) console.error('no test ran')
const complete = tests !== undefined && tests > 0 && (named || emptyFiles.length === 0)
process.exitCode = code === 0 && !complete ? 1 : code
