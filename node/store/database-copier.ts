// Copies of the database for whoever wants one of his own, made beside the writes (snapshot-copy.ts). Not shared, not kept: the file is the caller's.
import type { Result } from '../../runtime/result.ts'
import { SnapshotCopy } from './snapshot-copy.ts'

export interface CopyUnderWay {
  /** Never rejects; the problem is a text for the log. Fails when the database is replaced meanwhile; then another may be begun. */
  readonly finished: Promise<Result<unknown, string>>
  stop(): void
}

export class DatabaseCopier {
  readonly #databasePath: string
  readonly #underWay = new Set<SnapshotCopy>()

  constructor(databasePath: string) {
    this.#databasePath = databasePath
  }

  /** One state of the database, in DELETE journal mode, in a new file at `path`; what is left of one that failed is the caller's to remove. */
  copyTo(path: string): CopyUnderWay {
    const copy = new SnapshotCopy({ databasePath: this.#databasePath, copyPath: path })
    this.#underWay.add(copy)
    void copy.finished.then(() => this.#underWay.delete(copy))
    return { finished: copy.finished, stop: () => copy.stop() }
  }

  /** The database is about to be replaced: nothing here has it open when it returns. */
  suspend(): void {
    for (const copy of this.#underWay) copy.release()
  }

  resume(): void {}

  async close(): Promise<void> {
    for (const copy of this.#underWay) copy.stop()
    await Promise.all(Array.from(this.#underWay, ({ finished }) => finished))
  }
}
