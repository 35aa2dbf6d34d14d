// A client in a process of its own that is driven by lines of JSON: one order in, one answer out. Credentials go in by standard input.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { z } from 'zod'

const failure = z.strictObject({ error: z.string() })

/** A client may wait long for a node that does not answer, or without end. It only ends what hangs: the machine may be loaded. */
const answerMsMax = 180_000

/** A row as such a process writes it. */
export const row = z.record(z.string(), z.union([z.string(), z.number(), z.null()]))

export interface ClientProcess<Answer> {
  /** What the client itself calls an error is an exception, with its words. */
  readonly ask: (order: object) => Promise<Answer>
  readonly close: () => Promise<void>
}

export interface ProcessOptions<Answer> {
  /** Stands before each error. */
  readonly name: string
  readonly program: string
  readonly arguments: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** The first line: where, and as whom. */
  readonly about: object
  readonly answer: z.ZodType<Answer>
}

export function startClientProcess<Answer>(options: ProcessOptions<Answer>): ClientProcess<Answer> {
  const { name, program, answer } = options
  const child = spawn(program, options.arguments, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...options.environment } })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const gone = once(child, 'exit')
  // A process that has ended breaks the pipe; what is then missing is the answer, which says so.
  child.stdin.on('error', () => {})
  const send = (line: object): void => void child.stdin.write(`${JSON.stringify(line)}\n`)
  send(options.about)
  return {
    ask: async (order) => {
      send(order)
      let isLate = false
      const late = setTimeout(() => {
        isLate = true
        child.kill('SIGKILL')
      }, answerMsMax)
      const line = await lines.next().finally(() => clearTimeout(late))
      if (isLate) throw new Error(`${name}: no answer within ${answerMsMax / 1000} s`)
      if (line.done === true) throw new Error(`${name}: the process has ended`)
      const said: unknown = JSON.parse(line.value)
      const failed = failure.safeParse(said)
      if (failed.success) throw new Error(`${name}: ${failed.data.error}`)
      return answer.parse(said)
    },
    close: async () => {
      child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await gone
      clearTimeout(timer)
    },
  }
}
