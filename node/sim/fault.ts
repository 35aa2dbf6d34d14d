// The faults of a run as a list, drawn from the seed before it begins. Each has a number, its own instant and its own chance, so that any of them can be left out
// without changing the others: that is how a failing run is made short.
import type { Chance } from './chance.ts'

export const faultKinds = [
  'crash',
  'power',
  'power-of-all',
  'crash-at-call',
  'crash-in-install',
  'pause',
  'frozen',
  'isolate',
  'one-way',
  'split',
  'ring',
  'weather',
  'reset',
  'slow-disk',
  'full-disk',
  'write-error',
  'sync-error',
  'power-at-call',
  'rot',
  'rollback',
  'diverge',
  'compact',
  'clock-jump',
  'transfer',
  'add',
  'remove',
  'replace',
  'wipe',
  'impostor',
] as const
export type FaultKind = (typeof faultKinds)[number]

export interface Fault {
  readonly number: number
  readonly kind: FaultKind
  readonly atMs: number
  readonly lastsMs: number
  readonly seed: number
}

/** Swarm (Groce et al. 2012): each run has some of the kinds only, so that one does not hide what another would show. */
export function drawFaults(chance: Chance, options: { readonly untilMs: number }): readonly Fault[] {
  const kinds = faultKinds.filter(() => chance.happens(0.45))
  const gapMs = chance.pick([150, 300, 600, 1200]) ?? 300
  const faults: Fault[] = []
  for (let atMs = 200 + chance.exponential(gapMs); atMs < options.untilMs; atMs += chance.exponential(gapMs)) {
    const kind = chance.pick(kinds)
    if (kind !== undefined)
      faults.push({ number: faults.length + 1, kind, atMs, lastsMs: 30 + chance.exponential(700), seed: chance.below(2 ** 30) })
  }
  return faults
}

export function faultInWords(fault: Fault): string {
  return `#${fault.number} ${fault.kind} at ${fault.atMs.toFixed(0)} ms for ${fault.lastsMs.toFixed(0)} ms`
}
