// Whether a history of appends to one list and reads of it is strict serializable (Elle's list-append, for single keys): every read is a beginning of one list, and the
// list's order respects real time. PURE.
import type { Timed } from './linearizable.ts'

export type ListOperation =
  /** Values are unique. */
  { readonly kind: 'append'; readonly value: number } | { readonly kind: 'read'; readonly values: readonly number[] }

/** Undefined: nothing is wrong. `refused`: values whose append was refused for certain. */
export function listProblem(history: readonly Timed<ListOperation>[], refused: ReadonlySet<number>): string | undefined {
  const reads = history.flatMap(({ operation, began, ended }) =>
    operation.kind === 'read' ? [{ values: operation.values, began, ended }] : [],
  )
  const appends = new Map(
    history.flatMap(({ operation, began, ended }) => (operation.kind === 'append' ? [[operation.value, { began, ended }] as const] : [])),
  )
  const longest = reads.reduce<readonly number[]>((list, { values }) => (values.length > list.length ? values : list), [])
  return (
    problemOfList(longest, appends, refused) ??
    reads.map((read) => problemOfRead(read, longest, appends)).find((problem) => problem !== undefined) ??
    problemOfReads(reads)
  )
}

type Appends = ReadonlyMap<number, { readonly began: number; readonly ended: number }>

function problemOfList(list: readonly number[], appends: Appends, refused: ReadonlySet<number>): string | undefined {
  if (new Set(list).size !== list.length) return `a value stands twice in ${list.join(' ')}`
  let latestBegin = -Infinity
  for (const value of list) {
    if (refused.has(value)) return `value ${value} was refused and stands in the list`
    const append = appends.get(value)
    if (append === undefined) return `value ${value} was never appended`
    if (append.ended < latestBegin) return `value ${value} stands behind one that was begun after it had been acknowledged`
    latestBegin = Math.max(latestBegin, append.began)
  }
  return undefined
}

function problemOfRead(
  read: { readonly values: readonly number[]; readonly began: number; readonly ended: number },
  longest: readonly number[],
  appends: Appends,
): string | undefined {
  if (read.values.some((value, at) => longest[at] !== value)) return `${read.values.join(' ')} is no beginning of ${longest.join(' ')}`
  const seen = new Set(read.values)
  for (const [value, { began, ended }] of appends) {
    if (ended < read.began && !seen.has(value)) return `a read misses value ${value}, which had been acknowledged`
    if (began > read.ended && seen.has(value)) return `a read shows value ${value} before it was sent`
  }
  return undefined
}

function problemOfReads(
  reads: readonly { readonly values: readonly number[]; readonly began: number; readonly ended: number }[],
): string | undefined {
  const byEnd = reads.toSorted((a, b) => a.ended - b.ended)
  let longestEnded = 0
  let next = 0
  for (const read of reads.toSorted((a, b) => a.began - b.began)) {
    for (let ended = byEnd[next]; ended !== undefined && ended.ended < read.began; ended = byEnd[next]) {
      longestEnded = Math.max(longestEnded, ended.values.length)
      next += 1
    }
    if (read.values.length < longestEnded) return `a read shows ${read.values.length} values after another had shown ${longestEnded}`
  }
  return undefined
}
