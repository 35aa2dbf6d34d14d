// What the endpoints work with; made once by open-api.ts.
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import type { Access } from '../access/access.ts'
import type { Command } from '../command/command.ts'
import type { JudgeInSteps, JudgeText } from '../command/gate-port.ts'
import type { ApiCounts } from './api-counts.ts'
import type { ApiLimits } from './api-limits.ts'
import type { Backups } from './backups.ts'
import type { Checks } from './checks.ts'
import type { Compactor } from './compactor.ts'
import type { FileIntake } from './file-intake.ts'
import type { Forwarder } from './forwarder.ts'
import type { LargeTurns } from './large-turns.ts'
import type { LeaderWatch } from './leader-watch.ts'
import type { NodeView } from './node-view.ts'
import type { Reader } from './reader.ts'
import type { WriteTurnstile } from './write-turnstile.ts'
import type { WriteQueue } from './write-queue.ts'

export interface ApiParts {
  readonly access: Access
  readonly view: NodeView
  readonly reader: Reader
  readonly turnstile: WriteTurnstile
  readonly largeTurns: LargeTurns
  readonly forwarder: Forwarder
  readonly compactor: Compactor
  readonly checks: Checks
  readonly intake: FileIntake
  readonly backups: Backups
  readonly leaderWatch: LeaderWatch
  readonly writeQueue: WriteQueue
  /** How long a write waits for room in the log. */
  readonly applyTimeoutMs: number
  /** The node is about to stop. */
  readonly isEnding: () => boolean
  readonly judge: JudgeText
  /** The same of a long text. */
  readonly judgeInSteps: JudgeInSteps
  readonly encode: (command: Command) => Uint8Array
  readonly limits: ApiLimits
  readonly logger: Logger
  readonly metrics: Metrics
  readonly counts: ApiCounts
  /** `-http-allow-origin`: the one origin whose scripts may call, or `*`. */
  readonly allowOrigin: string | undefined
}
