// Port: checks of the whole database. Owned by the API; store and lifecycle have them.
import type { Result } from '../../runtime/result.ts'
import type { CheckReport, CheckResult } from '../replica/check-report.ts'
import type { ReplicaProblem } from '../replica/replica-port.ts'

export interface Checks {
  /** Has all nodes look at their databases behind the entry that it gives, or are they looking already. Only where this node leads. */
  begin(options: { readonly timeoutMs: number }): Promise<Result<{ readonly index: number }, ReplicaProblem>>
  /** Of this node. */
  report(): CheckReport
  result(): CheckResult
  /** Of this node's state behind the command of that index; undefined: not there yet, or forgotten. */
  stateHashAt(index: number): string | undefined
  /** When this node's last one ended, by Date.now(); undefined: none has since the start. */
  endedAtMs(): number | undefined
}
