// What a node and its rehearsal process say to each other.
import type { EntryPlace } from '../replica/replica-port.ts'

export interface RehearsalRequest {
  readonly kind: 'rehearse'
  readonly writes: readonly {
    readonly payload: Uint8Array
    /** 0: no limit of its own. */
    readonly processorMsMax: number
  }[]
}

/** `done`: all of them. `unavailable`: no copy could be made; `reason` is for the log. `failed`: the environment has refused (sqlite-failure.ts), as it would where they are applied. */
export type RehearsalReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'began'; readonly at: number }
  /** By its own rules: the reply is for the client. */
  | { readonly kind: 'refused'; readonly message: string }
  /** `copied`: the last entry that was applied in the copy before the first write. */
  | { readonly kind: 'passed'; readonly at: number; readonly copied: EntryPlace }
  | { readonly kind: 'done'; readonly isSwollen: boolean }
  | { readonly kind: 'unavailable'; readonly reason: string }
  | { readonly kind: 'failed'; readonly message: string }
