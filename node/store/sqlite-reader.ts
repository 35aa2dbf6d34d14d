// Local reads. Every text passes the gate first, because a read-only connection is no boundary: it still takes ATTACH and VACUUM INTO. What provably ends soon is read on a
// connection of this thread; everything else in a process that is ended at its limit (reader-pool.ts), because nothing else ends a statement.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { Read, ReadOptions, ReadProblem, Reader } from '../api/reader.ts'
import type { Judgement } from '../api/rehearsal.ts'
import type { Statement } from '../command/command.ts'
import type { GateProblem } from '../command/gate-port.ts'
import { judgeText } from '../command/gate.ts'
import { rememberVerdicts } from '../command/verdict-cache.ts'
import type { OnFatal } from './fatal.ts'
import { ReadAssembly } from './read-assembly.ts'
import { ReadSession, TooLarge } from './read-session.ts'
import { ReaderPool, tooLarge, type PoolLimits } from './reader-pool.ts'
import { EnvironmentFailure } from './sqlite-failure.ts'
import type { StoreLogger } from './store-logger.ts'

/** In place: so many instructions (some milliseconds) for one request. */
const costMax = 30_000

export interface ReaderOptions {
  readonly onFatal: OnFatal
  /** See SqliteStateMachine.schema: spares writes a look into the file. Absent: it is looked into for each. */
  readonly schema?: () => object | undefined
  /** Undefined: everything is read on this thread, whatever it takes, which suits tests and simulation. */
  readonly processes?: PoolLimits & { readonly logger: StoreLogger }
}

export class SqliteReader implements Reader {
  readonly #path: string
  readonly #onFatal: OnFatal
  readonly #schema: () => object | undefined
  readonly #judgeText = rememberVerdicts(judgeText)
  readonly #pool: ReaderPool | undefined
  #session: ReadSession

  /** The database must exist and hold the bookkeeping. */
  constructor(path: string, { onFatal, schema, processes }: ReaderOptions) {
    this.#path = path
    this.#onFatal = onFatal
    this.#schema = schema ?? (() => undefined)
    this.#pool = processes === undefined ? undefined : new ReaderPool({ ...processes, path, onFatal })
    this.#session = new ReadSession(path)
  }

  query(statements: readonly Statement[], options: ReadOptions): Promise<Result<Read, ReadProblem>> {
    for (const statement of options.gate === 'passed' ? [] : statements) {
      const problem = this.#judge(statement.sql)
      if (problem !== undefined) return Promise.resolve(fail(problem))
    }
    try {
      const read = this.#readHere(statements, options)
      if (read !== 'long') return Promise.resolve(ok(read))
    } catch (error) {
      if (error instanceof TooLarge) return Promise.resolve(tooLarge)
      if (error instanceof EnvironmentFailure) {
        this.#onFatal({ code: 'database_failed', message: `during a read: ${error.message}`, cause: error })
      }
      return Promise.reject(error)
    }
    if (this.#pool === undefined) throw new Error('without processes nothing is too long')
    return this.#pool.read(statements, options)
  }

  readsOnly(statements: readonly Statement[]): boolean {
    return statements.every(({ sql }) => this.#judge(sql) === undefined)
  }

  /** What the statements would cost where they are applied; nothing is run. */
  judge(statements: readonly Statement[]): Judgement {
    return this.#session.judge(statements, this.#schema())
  }

  asRun(sql: string): ReturnType<Reader['asRun']> {
    return this.#session.asRun(sql)
  }

  /** Starts a process, so that the first long read does not wait for it. */
  warm(): void {
    this.#pool?.warm()
  }

  /** Closes the connection and ends the processes, so that the database may be replaced by another file; nothing is read until `resume`. */
  suspend(): void {
    this.#pool?.suspend()
    this.#session.close()
  }

  /** Opens what now lies there; the bookkeeping must be in it. */
  resume(): void {
    this.#session = new ReadSession(this.#path)
    this.#pool?.resume()
  }

  close(): void {
    this.#pool?.close()
    this.#session.close()
  }

  #judge(sql: string): GateProblem | undefined {
    const judged = this.#judgeText(sql, { for: 'query' })
    return judged.ok ? undefined : judged.problem
  }

  #readHere(statements: readonly Statement[], { transaction, appliedIndexMin }: ReadOptions): Read | 'long' {
    const assembly = new ReadAssembly()
    const parts = this.#session.read(statements, { transaction, appliedIndexMin, costMax: this.#pool === undefined ? Infinity : costMax })
    for (;;) {
      const step = parts.next()
      if (!step.done) assembly.take(step.value)
      else if (step.value === 'long') return 'long'
      else return { results: assembly.results, appliedIndex: assembly.appliedIndex }
    }
  }
}
