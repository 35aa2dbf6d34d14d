// Port: shortening the log on demand, what rqlite calls a snapshot. Owned by the API; the replica loop has it.
import type { Result } from '../../runtime/result.ts'
import type { ReplicaProblem } from '../replica/replica-port.ts'

/** `nothing-new`: the log holds nothing that could go. */
export type Compacted = 'compacted' | 'nothing-new'

export interface Compactor {
  /** Makes what is applied durable in the database and drops the entries before it, but for the newest `trailingEntries`; undefined: as many as automatically. */
  compact(options: { readonly trailingEntries: number | undefined; readonly timeoutMs: number }): Promise<Result<Compacted, ReplicaProblem>>
}
