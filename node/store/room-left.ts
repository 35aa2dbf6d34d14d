// Room that files on their way through the log take, and leave behind when nobody ends their load.
import type Database from 'better-sqlite3'
import type { Progress } from './bookkeeping.ts'
import { bytesInUse, freeBytesIn } from './database-rewriting.ts'
import { LoadStaging } from './load-staging.ts'

export interface RoomLeft {
  /** The load that is under way, and how many bytes of its file have come. */
  readonly load: { readonly id: string; readonly bytes: number; readonly received: number } | undefined
  /** Loads that were given up have left so many free pages that writing the database anew is worth it. */
  readonly isWorthVacuum: boolean
}

/** Less is soon used again. */
const leftBytesMin = 1024 * 1024
/** Everything that is in use is written anew: at most so many times what is gained. */
const workMax = 4

/** Two short reads; throws what SQLite throws. */
export function roomLeftIn(database: Database.Database, { loadLeftBytes }: Pick<Progress, 'loadLeftBytes'>): RoomLeft {
  // Rows may have used it again.
  const left = loadLeftBytes === 0 ? 0 : Math.min(loadLeftBytes, freeBytesIn(database))
  return {
    load: new LoadStaging(database).underWay(),
    isWorthVacuum: left >= leftBytesMin && left * workMax >= bytesInUse(database),
  }
}
