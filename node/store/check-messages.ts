// What the process that checks a database says to the node (check-process.ts, database-checks.ts).

export type CheckReply =
  /** The structure has been looked at; the content is next. */
  | { readonly kind: 'structure-read' }
  /** `appliedIndex`: where the copy stands. `content`: undefined where damage does not let it be read. */
  | {
      readonly kind: 'found'
      readonly appliedIndex: number
      readonly faults: readonly string[]
      readonly content: string | undefined
    }
  | { readonly kind: 'failed'; readonly reason: string }
