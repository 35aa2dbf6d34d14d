// What 500 seeds must have met, at the least: each fault and each rare transition. A number is a tenth or so of what was counted when it was written down.

/** Below this many seeds nothing is expected. */
export const seedsMin = 500

export const expected: Readonly<Record<string, number>> = {
  'run settled': 450,
}

/** One sentence for each that was met too rarely. */
export function tooRare(counts: ReadonlyMap<string, number>, seeds: number): readonly string[] {
  if (seeds < seedsMin) return []
  return Object.entries(expected)
    .filter(([what, least]) => (counts.get(what) ?? 0) < least)
    .map(([what, least]) => `"${what}" was met ${counts.get(what) ?? 0} times, at least ${least} were expected`)
}
