// Makes a failing run short: which of its faults can be left out so that it still breaks the same rule? Halves, quarters and so on are left out while that works
// (delta debugging, Zeller 2002).
import type { Fault } from './fault.ts'
import { runSeed, type SeedVerdict } from './seed-run.ts'

/** Runs spent on it. */
const runsMax = 80

export interface Shrunk {
  readonly without: readonly number[]
  readonly faults: readonly Fault[]
}

export async function shrink(failing: SeedVerdict): Promise<Shrunk> {
  const all = failing.faults.map((fault) => fault.number)
  const rule = failing.violation?.rule
  let kept = all
  const spent = { runs: 0 }
  const stillFails = async (candidate: readonly number[]): Promise<boolean> => {
    spent.runs += 1
    const verdict = await runSeed({ seed: failing.seed, without: withoutAllBut(all, candidate) })
    return verdict.violation?.rule === rule
  }
  for (let parts = 2; kept.length > 1 && spent.runs < runsMax;) {
    const size = Math.ceil(kept.length / parts)
    let isShorter = false
    for (let at = 0; at < kept.length && spent.runs < runsMax; at += size) {
      const candidate = [...kept.slice(0, at), ...kept.slice(at + size)]
      if (!(await stillFails(candidate))) continue
      kept = candidate
      isShorter = true
      break
    }
    if (!isShorter && size === 1) break
    parts = isShorter ? Math.max(2, parts - 1) : Math.min(kept.length, parts * 2)
  }
  return { without: Array.from(withoutAllBut(all, kept)), faults: failing.faults.filter((fault) => kept.includes(fault.number)) }
}

function withoutAllBut(all: readonly number[], kept: readonly number[]): ReadonlySet<number> {
  return new Set(all.filter((number) => !kept.includes(number)))
}
