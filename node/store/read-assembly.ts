// Puts the parts of a read together again.
import type { Column, SqlValue, StatementResult } from '../command/command.ts'
import type { ReadPart } from './read-session.ts'

export class ReadAssembly {
  readonly results: StatementResult[] = []
  appliedIndex = 0
  /** What all rows hold so far. */
  bytes = 0
  #columns: readonly Column[] = []
  #rows: (readonly SqlValue[])[] = []

  take(part: ReadPart): void {
    switch (part.kind) {
      case 'begun':
        this.appliedIndex = part.appliedIndex
        return
      case 'columns':
        this.#columns = part.columns
        this.#rows = []
        return
      case 'rows':
        this.bytes += part.bytes
        for (const row of part.rows) this.#rows.push(row)
        return
      case 'end':
        this.results.push({ kind: 'rows', columns: this.#columns, rows: this.#rows, seconds: part.seconds })
        return this.#forgetRows()
      case 'result':
        this.results.push(part.result)
        return this.#forgetRows()
    }
  }

  /** The statement that was running has been ended. */
  cut(result: StatementResult): void {
    this.results.push(result)
    this.#forgetRows()
  }

  #forgetRows(): void {
    this.#columns = []
    this.#rows = []
  }
}
