// A process for crash.test.ts to kill: opens a store, appends and applies without end, and says what has become durable and applied. Not part of the node.
import { encodeCommand } from '../command/command-codec.ts'
import { makeEntry, type Entry } from '../raft/entry.ts'
import type { NodeId } from '../raft/membership.ts'
import { openStore } from './open-store.ts'
import { command } from './test-machine.ts'

/** Never resolves. */
export async function writeForEver(dataDir: string, say: (line: string) => void): Promise<void> {
  const opened = await openStore({
    dataDir,
    nodeId: 'n1' as NodeId,
    onFatal: (problem) => {
      throw new Error(problem.message)
    },
    logger: { info: () => {}, warn: () => {}, error: () => {} },
  })
  if (!opened.ok) throw new Error(opened.problem.message)
  const { log, stateMachine } = opened.value
  const last = log.reader.lastIndex()
  if (last > stateMachine.appliedIndex)
    stateMachine.apply(log.reader.read({ from: stateMachine.appliedIndex + 1, to: last, bytesMax: 1 << 30 }))
  let index = last
  let waiting: Entry[] = []
  const append = (): void => {
    const entries = Array.from({ length: 1 + (index % 7) }, () => nextEntry((index += 1)))
    waiting = [...waiting, ...entries]
    log.append({ sequence: index, hardState: { term: 1 + Math.floor(index / 1000), votedFor: undefined }, entries })
  }
  log.onDurable((sequence) => {
    const durable = waiting.filter((entry) => entry.index <= sequence)
    waiting = waiting.filter((entry) => entry.index > sequence)
    stateMachine.apply(durable)
    say(`durable ${sequence}\n`)
    append()
    if (index % 3 === 0) append()
  })
  append()
}

function nextEntry(index: number): Entry {
  const statements = [
    'CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY AUTOINCREMENT, n)',
    ['INSERT INTO t (n) VALUES (?)', index],
    ['INSERT OR ROLLBACK INTO t VALUES (1, ?)', index],
  ] as const
  return makeEntry({ index, term: 1, kind: 'command', payload: encodeCommand(command(statements)) })
}
