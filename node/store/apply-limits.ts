// How far a stretch of entries may go where it is applied, and why it ended.
import type { Applied } from '../replica/state-machine.ts'

/** Where the entries run. In place, the calling thread has more to do: it stops before a command that may take long. */
export interface Limits {
  /** Entries that would begin later than this are left for the next stretch. */
  readonly budgetMs: number
  /** A command of more instructions than this is long. */
  readonly costMax: number
}

export const noLimits: Limits = { budgetMs: Infinity, costMax: Infinity }

/** An entry of more bytes is long whatever it does. */
export const payloadBytesMax = 1024 * 1024

export interface Stretch {
  readonly applied: readonly Applied[]
  /** Why the entries behind `applied` were not applied. `diverged` is for good. `replacement`: the next one puts another database in this one's place, which a transaction cannot. */
  readonly stop: 'end' | 'time' | 'long' | 'diverged' | 'replacement'
}
