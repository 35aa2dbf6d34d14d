// The log's writer without a thread, for the simulator and tests: the same frames by the same code, but each step waits for its turn.
import { closingFrame, gatherFrame } from './frame-gathering.ts'
import type { LogDisk } from './log-disk.ts'
import type { LogWriter, StartLogWriter, WriterEvents, WriterOptions, WriterRequest } from './log-writer.ts'
import { PowerLost } from './power-lost.ts'
import { SegmentWriter, bytesOf } from './segment-writer.ts'
import { failureOf } from './write-failure.ts'

/** `write`: bytes go to the file. `sync`: they become durable, then it is told. `tidy`: old segments go. Between two of them anything else may happen. */
export type WriterStep = 'write' | 'sync' | 'tidy'

/** Must run `turn` later, never within the call, and in the order of the calls; or never, when the node has died meanwhile. */
export type ScheduleStep = (step: WriterStep, turn: () => void) => void

/** Steps that a dead node still owes may run: after PowerLost they do nothing. */
export function startInlineWriter(disk: LogDisk, schedule: ScheduleStep): StartLogWriter {
  return (options, on) => new InlineLogWriter(disk, schedule, options, on)
}

class InlineLogWriter implements LogWriter {
  readonly #writer: SegmentWriter
  readonly #schedule: ScheduleStep
  readonly #on: WriterEvents
  #waiting: WriterRequest[] = []
  /** The step that waits for its turn; undefined: nothing is to be done, or nothing ever again. */
  #turn: (() => void) | undefined
  #hasEnded = false

  constructor(disk: LogDisk, schedule: ScheduleStep, options: WriterOptions, on: WriterEvents) {
    this.#writer = new SegmentWriter(disk, options)
    this.#schedule = schedule
    this.#on = on
  }

  request(request: WriterRequest): void {
    if (this.#hasEnded) return
    this.#waiting.push(request)
    if (this.#turn === undefined) this.#later('write', () => this.#write())
  }

  /** At once: every step that is still to be done, and the last frame. */
  close(): Promise<void> {
    while (this.#turn !== undefined) this.#take(this.#turn)
    if (this.#hasEnded) return Promise.resolve()
    this.#attempt(() => {
      this.#writer.write(closingFrame(this.#writer.end))
      this.#writer.close()
    })
    this.#hasEnded = true
    return Promise.resolve()
  }

  #write(): void {
    const first = this.#waiting.shift()
    if (first === undefined) return
    const { frame, sequence } = gatherFrame(this.#writer.end, first, (mayJoin) => {
      const request = this.#waiting[0]
      return request !== undefined && mayJoin(request) ? this.#waiting.shift() : undefined
    })
    this.#writer.start(frame)
    this.#later('sync', () => {
      const written = this.#writer.finish()
      if (this.#writer.isTidy) this.#goOn()
      else this.#later('tidy', () => this.#tidy())
      if (sequence !== undefined) this.#on.durable({ sequence, ...written, logBytes: bytesOf(this.#writer.end) })
    })
  }

  #tidy(): void {
    this.#writer.tidy()
    this.#goOn()
    this.#on.tidied({ firstSegment: this.#writer.end.segments[0]?.segment ?? 0, logBytes: bytesOf(this.#writer.end) })
  }

  #goOn(): void {
    if (this.#waiting.length > 0) this.#later('write', () => this.#write())
  }

  #later(step: WriterStep, turn: () => void): void {
    this.#turn = turn
    this.#schedule(step, () => this.#take(turn))
  }

  #take(turn: () => void): void {
    // Done already, by close().
    if (this.#turn !== turn) return
    this.#turn = undefined
    this.#attempt(turn)
  }

  #attempt(turn: () => void): void {
    try {
      turn()
    } catch (error) {
      this.#hasEnded = true
      this.#turn = undefined
      this.#waiting = []
      // A node without power says nothing; whoever took the power knows.
      if (!(error instanceof PowerLost)) this.#on.failed(failureOf(error))
    }
  }
}
