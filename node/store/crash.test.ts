import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { NodeId } from '../raft/membership.ts'
import { eventually } from '../replica/eventually.ts'
import { seededRandom } from '../raft/seeded-random.ts'
import { startWriterThread } from '../log/log-writer-worker.ts'
import { openStore } from './open-store.ts'
import { segmentHeaderBytes } from '../log/segment-format.ts'

/** Runs the writer until it has said `lines` lines, kills it, and gives the last index that it called durable. */
async function writeAndKill(dataDir: string, lines: number): Promise<number> {
  const module = new URL('test-writer.ts', import.meta.url).href
  const program = `
    const { writeForEver } = await import(${JSON.stringify(module)})
    await writeForEver(${JSON.stringify(dataDir)}, (line) => process.stdout.write(line))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  let said = ''
  child.stdout.setEncoding('utf8')
  for await (const chunk of child.stdout as AsyncIterable<string>) {
    said += chunk
    if (said.split('\n').length > lines) child.kill('SIGKILL')
  }
  await ended
  const durable = said.split('\n').slice(0, -1).at(-1)
  assert.match(durable ?? '', /^durable \d+$/)
  return Number(durable?.slice('durable '.length))
}

test('killed at any moment, a store opens again, holds every entry that was durable, and applies each exactly once', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'crash-'))
  const dataDir = join(directory, 'data')
  const random = seededRandom(20_261_122)
  try {
    for (let round = 0; round < 5; round += 1) {
      const durable = await writeAndKill(dataDir, 1 + random(60))
      const opened = await openStore({
        dataDir,
        nodeId: 'n1' as NodeId,
        onFatal: (problem) => assert.fail(problem.message),
        logger: { info: () => {}, warn: () => {}, error: () => {} },
      })
      assert(opened.ok, opened.ok ? '' : opened.problem.message)
      const { log, stateMachine, reader } = opened.value
      const last = log.reader.lastIndex()
      assert(last >= durable, `durable up to ${durable}, the log ends at ${last}`)
      assert(stateMachine.appliedIndex <= last)
      if (stateMachine.appliedIndex < last)
        stateMachine.apply(log.reader.read({ from: stateMachine.appliedIndex + 1, to: last, bytesMax: 1 << 30 }))
      await eventually(() => stateMachine.appliedIndex === last, 'the log is applied')
      const read = await reader.query(
        [{ sql: 'SELECT count(*), max(id), count(DISTINCT n), max(n) FROM t', parameters: { kind: 'positional', values: [] } }],
        {
          transaction: false,
          appliedIndexMin: last,
        },
      )
      assert(read.ok && read.value.results[0]?.kind === 'rows')
      assert.deepEqual(read.value.results[0].rows, [Array(4).fill(BigInt(last))])
      await opened.value.close()
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test(
  'a disk that is full ends the log: it is told once, and nothing that was asked is ever called durable',
  { skip: process.platform !== 'linux' },
  async () => {
    const { symlinkSync } = await import('node:fs')
    const directory = mkdtempSync(join(tmpdir(), 'full-'))
    try {
      symlinkSync('/dev/full', join(directory, '0000000001.segment'))
      const told: string[] = []
      const writer = startWriterThread(directory)(
        {
          logId: Buffer.alloc(16, 1),
          end: {
            frame: 1,
            hardState: { term: 0, votedFor: undefined },
            base: { index: 0, term: 0 },
            segments: [{ segment: 1, indexMax: 0, bytes: segmentHeaderBytes }],
          },
          segmentBytesMax: 1 << 20,
          prepareBytes: 0,
        },
        {
          durable: () => told.push('durable'),
          tidied: () => told.push('tidied'),
          failed: ({ kind, message }) => told.push(`${kind} ${message}`),
        },
      )
      for (let sequence = 1; sequence <= 5; sequence += 1) {
        writer.request({
          kind: 'write',
          sequence,
          hardState: { term: 1, votedFor: undefined },
          entryCount: 0,
          indexMax: 0,
          entries: new Uint8Array(1),
          reset: undefined,
        })
      }
      await writer.close()
      assert(told.length >= 1 && told.every((message) => /^disk_full .*ENOSPC/.test(message)), told.join())
    } finally {
      rmSync(directory, { recursive: true })
    }
  },
)
