// What a node and its reader processes say to each other (Node's IPC with structured clone, so that integers and bytes stay what they are).
import type { Statement } from '../command/command.ts'
import type { ReadPart } from './read-session.ts'

/** `more`: the parts sent so far were taken. */
export type ReaderRequest =
  | {
      readonly kind: 'read'
      readonly statements: readonly Statement[]
      readonly transaction: boolean
      readonly appliedIndexMin: number
    }
  | { readonly kind: 'more' }

/**
 * `parts`: more follow; after those with `mustAsk` only when `more` was said. `done`: the last ones; `isSwollen`: the process holds more memory than an idle one should.
 * `failed`: the environment has refused (sqlite-failure.ts).
 */
export type ReaderReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'parts'; readonly parts: readonly ReadPart[]; readonly mustAsk: boolean }
  | { readonly kind: 'done'; readonly parts: readonly ReadPart[]; readonly isSwollen: boolean }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'failed'; readonly message: string }
