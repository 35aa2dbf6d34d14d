// The table of docs/simulation.md: read back so that a part can be run alone, written whole.
import type { Inapplicable, Mutation } from './mutation.ts'
import type { MutationVerdict } from './run-mutation.ts'

const begin = '<!-- mutations: written by `npm run sim:mutations` -->'
const end = '<!-- end of mutations -->'
const head = '| | mistake | put back in | found by |\n|---|---|---|---|'

export interface TableRow {
  readonly hazard: number
  readonly key: string
  readonly line: string
}

/** A mistake is known by its number and words. */
export function keyOf({ hazard, text }: { readonly hazard: number; readonly text: string }): string {
  return `${hazard} ${text}`
}

/** What stands in the table as found. */
export function foundIn(document: string): ReadonlySet<string> {
  const rows = document.split('\n').flatMap((line) => parseRow(line) ?? [])
  return new Set(rows.filter(({ line }) => !line.includes('**no')).map(({ key }) => key))
}

export function rowOf(mutation: Mutation, verdict: MutationVerdict): TableRow {
  const { hazard, text, file } = mutation
  return { hazard, key: keyOf(mutation), line: `| ${hazard} | ${text} | \`${file}\` | ${inWords(verdict, mutation)} |` }
}

export function rowOfInapplicable({ hazard, text, why }: Inapplicable): TableRow {
  return { hazard, key: keyOf({ hazard, text }), line: `| ${hazard} | ${text} | – | does not apply: ${why} |` }
}

/** Rows of `document` that `rows` does not replace stay, if `known` still has them. */
export function withTable(document: string, rows: readonly TableRow[], known: ReadonlySet<string>): string {
  const [before = '', rest = ''] = document.split(begin)
  const [old = '', after = ''] = rest.split(end)
  const kept = old.split('\n').flatMap((line) => parseRow(line) ?? [])
  const all = new Map([...kept.filter(({ key }) => known.has(key)), ...rows].map((row) => [row.key, row]))
  const lines = Array.from(all.values()).toSorted((a, b) => a.hazard - b.hazard || (a.key < b.key ? -1 : 1))
  return [before.trimEnd(), '', begin, '', head, ...lines.map(({ line }) => line), '', end, after.trimStart()].join('\n')
}

function parseRow(line: string): TableRow | undefined {
  const [, hazard, text] = /^\| (\d+)\s* \| (.*?)\s* \| /.exec(line) ?? []
  return hazard === undefined || text === undefined ? undefined : { hazard: Number(hazard), key: `${hazard} ${text}`, line }
}

function inWords(verdict: MutationVerdict, { by }: Mutation): string {
  switch (verdict.kind) {
    case 'caught':
      return by.kind === 'seeds' ? `${verdict.by} (of ${by.budget})` : verdict.by
    case 'survived':
      return by.kind === 'seeds' ? `**not found** in ${by.budget} seeds` : `**not found** by \`${by.file}\``
    case 'unfit':
      return `**no longer fits**: ${verdict.why}`
  }
}
