// Port: shortening the log on demand, what rqlite calls a snapshot. Owned by the API; the composition root gives it the replica.

/** `nothing-new`: the log holds nothing that could go. */
export type Compacted = 'compacted' | 'nothing-new'

export interface Compactor {
  /** Makes what is applied durable in the database and drops the entries before it, but for the newest `trailingLogs`; undefined: as many as automatically. */
  compact(options: { readonly trailingLogs: number | undefined }): Promise<Compacted>
}
