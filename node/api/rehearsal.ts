// Port: what a write would cost, before it is in the log. A committed entry is applied on every node, however long that takes, so what may take long is tried first. Owned by
// the API; `node/store` implements it with a process that can be ended.
import type { Statement } from '../command/command.ts'
import type { EntryPlace } from '../replica/replica-port.ts'

export interface Judgement {
  /** Roughly the instructions that it carries out, under the schema as applied now; Infinity: it may run, or be prepared, for any time. */
  readonly cost: number
  /** Whatever was judged before may cost something else after it. */
  readonly changesSchema: boolean
}

/** `processor`: time of the processor, so that a busy machine refuses nothing that an idle one would take. `clock`: what the client has asked for (`db_timeout`). */
export interface RehearsalLimit {
  readonly kind: 'processor' | 'clock'
  readonly ms: number
}

export interface RehearsedWrite {
  /** As it would be proposed. */
  readonly payload: Uint8Array
  readonly limit: RehearsalLimit
}

/**
 * `done`: all have passed. `interrupted`: those that have not passed were not tried, through no fault of theirs. `ended`: the one at `at` was ended, or cannot run; those before it have passed, those behind it were not tried. `unavailable`: those that have
 * not passed cannot be tried now, and must not be proposed.
 */
export type RehearsalEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'interrupted' }
  | {
      readonly kind: 'ended'
      readonly at: number
      readonly problem: {
        readonly code: 'statement_timeout' | 'statement_out_of_memory' | 'write_too_large' | 'statement_refused' | 'internal'
        readonly message: string
      }
    }
  | { readonly kind: 'unavailable' }

/** The write at `at` has passed. `copied`: the last entry that the copy held when the first one began. */
export type OnPassed = (at: number, copied: EntryPlace) => void

export interface Rehearsal {
  judge(statements: readonly Statement[]): Judgement
  /** Resolves when a rehearsal could begin at once, or none can for now: whoever lets others wait for one asks first. */
  ready(): Promise<void>
  /**
   * Carries them out one after the other, each on what those before it have done, on a copy that nobody sees: everything that is applied when it begins is in it. One call at
   * a time. `onPassed` is told of each as it passes.
   */
  rehearse(writes: readonly RehearsedWrite[], onPassed: OnPassed): Promise<RehearsalEnd>
}
