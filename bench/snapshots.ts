// `node bench/snapshots.ts [MEGABYTES] [DIRECTORY]`: what a snapshot of a large database costs while 200 writes a second go on. One store is filled, copied, read from and
// received by a second one, which then installs it; both are opened again as after kill -9. Prints a table; figures in node/store/README.md come from here.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { encodeCommand } from '../node/command/command-codec.ts'
import { makeEntry, type Entry } from '../node/raft/entry.ts'
import { encodeMembership } from '../node/raft/membership-codec.ts'
import type { NodeId } from '../node/raft/membership.ts'
import { openStore, type Store } from '../node/store/open-store.ts'

const megabytes = Number(process.argv[2] ?? 1024)
const directory = mkdtempSync(join(process.argv[3] ?? tmpdir(), 'bench-snapshots-'))
const writesPerSecond = 200
const rowBytes = 1000
const rowsPerEntry = 1000
const chunkBytes = 1024 * 1024

async function open(name: string): Promise<Store> {
  const opened = await openStore({
    dataDir: join(directory, name),
    nodeId: name as NodeId,
    onFatal: (problem) => {
      throw new Error(problem.message)
    },
    logger: { info: () => {}, warn: console.error, error: console.error },
  })
  assert(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened.value
}

function entry(index: number, sql: string): Entry {
  const statements = [{ sql, parameters: { kind: 'positional', values: [] } }] as const
  const payload = encodeCommand({ kind: 'execute', transaction: false, statements, proposedAtMs: 0, seed: new Uint8Array(16) })
  return makeEntry({ index, term: 1, kind: 'command', payload })
}

/** One write after the other as a node does them: into the log, durable, then applied. */
class Writer {
  readonly #store: Store
  readonly #waiting = new Map<number, { readonly entry: Entry; readonly done: () => void }>()
  readonly #applied = new Map<number, () => void>()
  #index: number
  #sequence = 0

  constructor(store: Store) {
    this.#store = store
    this.#index = store.log.reader.lastIndex()
    store.log.onDurable((sequence) => {
      const entries: Entry[] = []
      for (const [waiting, { entry, done }] of this.#waiting) {
        if (waiting > sequence) break
        this.#waiting.delete(waiting)
        this.#applied.set(entry.index, done)
        entries.push(entry)
      }
      store.stateMachine.apply(entries)
    })
    store.stateMachine.onApplied((applied) => {
      for (const { index } of applied) {
        this.#applied.get(index)?.()
        this.#applied.delete(index)
      }
    })
  }

  async write(make: (index: number) => Entry): Promise<void> {
    const entry = make((this.#index += 1))
    const sequence = (this.#sequence += 1)
    await new Promise<void>((done) => {
      this.#waiting.set(sequence, { entry, done })
      this.#store.log.append({ sequence, hardState: { term: 1, votedFor: undefined }, entries: [entry] })
    })
  }
}

async function fill(store: Store, writer: Writer): Promise<void> {
  const member = { id: 'sender' as NodeId, incarnation: 'i', raftAddress: 'a:1', apiUrl: 'https://a:2', suffrage: 'voter' } as const
  const other = { ...member, id: 'receiver' as NodeId, raftAddress: 'b:1' }
  const members = encodeMembership({ members: [other, member] })
  await writer.write((index) => makeEntry({ index, term: 1, kind: 'membership', payload: members }))
  await writer.write((index) => entry(index, 'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, filling TEXT)'))
  const rows = `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ${rowsPerEntry}) INSERT INTO t (n, filling) SELECT x, hex(randomblob(${rowBytes / 2})) FROM c`
  while (statSync(join(directory, 'sender', 'db.sqlite')).size < megabytes * 1024 * 1024) {
    await writer.write((index) => entry(index, rows))
    if (store.log.reader.lastIndex() % 100 === 0) {
      const index = await store.stateMachine.makeDurable()
      store.log.compact({ index, term: 1 })
    }
  }
}

interface Load {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly longestMs: number
  readonly writes: number
  /** Longest pause between two turns of the event loop that were asked for 10 ms apart. */
  readonly longestPauseMs: number
  readonly rssMegabytes: number
  readonly walMegabytes: number
}

/** 200 writes a second at fixed instants while `body` runs; each counts from when it was asked for, so that a machine that is busy otherwise does not count twice. */
async function underLoad<Value>(
  writer: Writer,
  body: () => Promise<Value>,
): Promise<{ readonly value: Value; readonly ms: number; readonly load: Load }> {
  const latencies: number[] = []
  const work = { isDone: false }
  let [rss, wal, longestPauseMs, lastTurnAtMs] = [0, 0, 0, performance.now()]
  const looking = setInterval(() => {
    longestPauseMs = Math.max(longestPauseMs, performance.now() - lastTurnAtMs)
    lastTurnAtMs = performance.now()
    rss = Math.max(rss, process.memoryUsage.rss())
    wal = Math.max(wal, statSync(join(directory, 'sender', 'db.sqlite-wal'), { throwIfNoEntry: false })?.size ?? 0)
  }, 10)
  const startedAtMs = performance.now()
  const writing = (async () => {
    const pending: Promise<void>[] = []
    for (let count = 0; !work.isDone; count += 1) {
      const dueAtMs = startedAtMs + (count * 1000) / writesPerSecond
      await delay(Math.max(0, dueAtMs - performance.now()))
      const askedAtMs = performance.now()
      const sql = `INSERT INTO t (n, filling) VALUES (${count}, '${'x'.repeat(200)}')`
      pending.push(writer.write((index) => entry(index, sql)).then(() => void latencies.push(performance.now() - askedAtMs)))
    }
    await Promise.all(pending)
  })()
  const value = await body()
  const ms = performance.now() - startedAtMs
  work.isDone = true
  await writing
  clearInterval(looking)
  latencies.sort((one, other) => one - other)
  const at = (share: number): number => Math.round((latencies[Math.floor(latencies.length * share)] ?? 0) * 10) / 10
  const load = {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    longestMs: Math.round(latencies.at(-1) ?? 0),
    writes: latencies.length,
    longestPauseMs: Math.round(longestPauseMs),
    rssMegabytes: Math.round(rss / 2 ** 20),
    walMegabytes: Math.round(wal / 2 ** 20),
  }
  return { value, ms: Math.round(ms), load }
}

function show(what: string, ms: number, load?: Load): void {
  console.log(what.padEnd(44), `${Math.round(ms)} ms`.padStart(10), load === undefined ? '' : JSON.stringify(load))
}

async function timed<Value>(what: string, body: () => Promise<Value> | Value): Promise<Value> {
  const startedAtMs = performance.now()
  const value = await body()
  show(what, performance.now() - startedAtMs)
  return value
}

async function run(): Promise<void> {
  const sender = await open('sender')
  const writer = new Writer(sender)
  await timed(`fill ${megabytes} MB`, () => fill(sender, writer))
  const quiet = await underLoad(writer, () => delay(10_000))
  show('writes alone', quiet.ms, quiet.load)
  const copied = await underLoad(writer, () => sender.snapshots.take({ indexMin: 1 }))
  show('copy and hash', copied.ms, copied.load)
  assert(copied.value.ok)
  const manifest = copied.value.value
  const receiver = await open('receiver')
  const stage = await receiver.snapshots.stage(manifest)
  const received = await underLoad(writer, async () => {
    for (let offset = 0; offset < manifest.bytes; offset += chunkBytes) {
      const chunk = await sender.snapshots.read({ id: manifest.id, offset, length: chunkBytes })
      assert(chunk.ok)
      await stage.write(chunk.value)
    }
  })
  show('read and receive', received.ms, received.load)
  const finished = await underLoad(writer, () => stage.finish())
  show('examine', finished.ms, finished.load)
  assert(finished.value.ok)
  const point = finished.value.value
  await timed('install (blocks the receiver)', () => receiver.snapshots.install(point, { reset: true }))
  await timed('log begins anew', async () => {
    await new Promise<void>((resolve) => {
      receiver.log.onDurable(() => resolve())
      receiver.log.append({ sequence: 1, hardState: undefined, entries: [], reset: { index: point.index, term: point.term } })
    })
    receiver.snapshots.installed()
  })
  assert.equal(receiver.stateMachine.appliedIndex, point.index)
  await receiver.close()
  await (await timed('open the receiver', () => open('receiver'))).close()
  await timed('close the sender', () => sender.close())
  await (await timed('open the sender', () => open('sender'))).close()
}

try {
  await run()
} finally {
  rmSync(directory, { recursive: true })
}
