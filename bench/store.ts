// `node bench/store.ts`: two questions about the database alone, in seconds. What does applying cost by size of group? How long is the
// pause when the WAL is emptied, by its limit? Prints tables; figures in node/store/README.md come from here.
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeCommand } from '../node/command/command-codec.ts'
import { makeEntry, type Entry } from '../node/raft/entry.ts'
import { SqliteStateMachine } from '../node/store/sqlite-state-machine.ts'
import { openWriteConnection } from '../node/store/write-connection.ts'

const directory = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'bench-store-'))

function inserts(from: number, count: number): readonly Entry[] {
  return Array.from({ length: count }, (_, at) =>
    makeEntry({
      index: from + at,
      term: 1,
      kind: 'command',
      payload: encodeCommand({
        kind: 'execute',
        transaction: false,
        statements: [
          { sql: 'INSERT INTO t (n, s) VALUES (?, ?)', parameters: { kind: 'positional', values: [from + at, 'x'.repeat(64)] } },
        ],
        proposedAtMs: 0,
        seed: new Uint8Array(16),
      }),
    }),
  )
}

function openMachine(name: string): SqliteStateMachine {
  const path = join(directory, name)
  writeFileSync(path, '')
  const connection = openWriteConnection(path)
  connection.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, n, s)')
  return new SqliteStateMachine(connection, {
    elsewhere: 'nowhere',
    onFatal: (problem) => {
      throw new Error(problem.message)
    },
  })
}

async function appliesPerSecond(
  group: number,
): Promise<{ readonly perSecond: number; readonly longestMs: number; readonly walBytes: number }> {
  const machine = openMachine(`apply-${group}.sqlite`)
  let longestMs = 0
  let spentMs = 0
  let index = 0
  while (spentMs < 1500) {
    const entries = inserts(index + 1, group)
    const startedAtMs = performance.now()
    machine.apply(entries)
    const tookMs = performance.now() - startedAtMs
    longestMs = Math.max(longestMs, tookMs)
    spentMs += tookMs
    index += group
    await Promise.resolve()
  }
  const walBytes = statSync(join(directory, `apply-${group}.sqlite-wal`)).size
  await machine.close()
  return { perSecond: Math.round((index * 1000) / spentMs), longestMs: Math.round(longestMs), walBytes }
}

function checkpointPauses(walBytes: number): { readonly medianMs: number; readonly longestMs: number } {
  const path = join(directory, `wal-${walBytes}.sqlite`)
  writeFileSync(path, '')
  const connection = openWriteConnection(path)
  connection.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, n, s)')
  const insert = connection.prepare('INSERT INTO t (n, s) VALUES (?, ?)')
  const fill = connection.transaction(() => {
    for (let n = 0; n < 64; n += 1) insert.run(n, 'x'.repeat(64))
  })
  const pausesMs: number[] = []
  for (let round = 0; round < 7; round += 1) {
    while ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) < walBytes) fill()
    const startedAtMs = performance.now()
    connection.pragma('wal_checkpoint(TRUNCATE)')
    pausesMs.push(performance.now() - startedAtMs)
  }
  connection.close()
  pausesMs.sort((a, b) => a - b)
  return { medianMs: Math.round(pausesMs[3] ?? 0), longestMs: Math.round(pausesMs.at(-1) ?? 0) }
}

try {
  const mebibyte = 1 << 20
  const applied = []
  for (const group of [1, 16, 64, 256]) applied.push({ group, ...(await appliesPerSecond(group)) })
  console.table(applied)
  console.table([2, 4, 8, 16, 64].map((size) => ({ walMiB: size, ...checkpointPauses(size * mebibyte) })))
} finally {
  rmSync(directory, { recursive: true })
}
