// Results on their way from the thread that applies. Each is an object to whoever receives it, and hundreds of thousands of them take the thread that sends heartbeats tenths
// of a second, on every node; what nearly all of them are, numbers, goes as a few arrays.
import type { CommandOutcome, StatementResult } from '../command/command.ts'
import type { Applied } from '../replica/state-machine.ts'

/** Fewer go as they are. */
const resultsMin = 256

interface Packed {
  readonly index: number
  readonly term: number
  /** Zeros where `others` holds the result. */
  readonly written: {
    readonly lastInsertIds: Readonly<BigInt64Array>
    readonly rowsAffected: Readonly<Float64Array>
    readonly seconds: Readonly<Float64Array>
  }
  /** By their place: rows and errors. */
  readonly others: ReadonlyMap<number, StatementResult>
}

export type HandedOver = Applied | Packed

export function pack(applied: Applied): HandedOver {
  const results = resultsOf(applied)
  if (results.length < resultsMin) return applied
  const { length } = results
  const lastInsertIds = new BigInt64Array(length)
  const rowsAffected = new Float64Array(length)
  const seconds = new Float64Array(length)
  const others = new Map<number, StatementResult>()
  let at = 0
  for (const result of results) {
    if (result.kind === 'written') {
      lastInsertIds[at] = result.lastInsertId
      rowsAffected[at] = result.rowsAffected
      seconds[at] = result.seconds
    } else others.set(at, result)
    at += 1
  }
  return { index: applied.index, term: applied.term, written: { lastInsertIds, rowsAffected, seconds }, others }
}

export function unpack(handed: HandedOver): Applied {
  if (!('written' in handed)) return handed
  const { index, term, written, others } = handed
  const results: StatementResult[] = []
  for (const [at, lastInsertId] of written.lastInsertIds.entries()) {
    const other = others.get(at)
    results.push(other ?? { kind: 'written', lastInsertId, rowsAffected: written.rowsAffected[at] ?? 0, seconds: written.seconds[at] ?? 0 })
  }
  return { index, term, outcome: { results } satisfies CommandOutcome }
}

/** Opaque to Raft; that of a command is a CommandOutcome. */
function resultsOf({ outcome }: Applied): readonly StatementResult[] {
  return outcome === undefined ? [] : (outcome as CommandOutcome).results
}
