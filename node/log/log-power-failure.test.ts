import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeEntry, type Entry } from '../raft/entry.ts'
import type { NodeId } from '../raft/membership.ts'
import type { HardState, LogBase, Persist } from '../raft/raft-port.ts'
import { seededRandom } from '../raft/seeded-random.ts'
import type { FatalProblem } from '../store/fatal.ts'
import { startInlineWriter, type WriterStep } from './inline-log-writer.ts'
import { createLog } from './log-recovery.ts'
import { MemoryDisk } from './memory-disk.ts'
import { PowerLost } from './power-lost.ts'
import { openSegmentLogOn, type SegmentLog } from './segment-log.ts'

const logId = Buffer.alloc(16, 7)
const limits = { segmentBytesMax: 900, recentBytesMax: 500 }

/** What a log must hold: a plain list beside it. */
interface Model {
  readonly base: LogBase
  readonly entries: readonly Entry[]
  readonly hardState: HardState
}

const empty: Model = { base: { index: 0, term: 0 }, entries: [], hardState: { term: 0, votedFor: undefined } }

function persisted(model: Model, { entries, hardState, reset }: Persist): Model {
  const from = reset === undefined ? model : { base: reset, entries: [] }
  const first = entries[0]?.index ?? from.base.index + from.entries.length + 1
  return {
    base: from.base,
    entries: [...from.entries.slice(0, first - from.base.index - 1), ...entries],
    hardState: hardState ?? model.hardState,
  }
}

function compacted(model: Model, base: LogBase): Model {
  if (base.index <= model.base.index) return model
  return { ...model, base, entries: model.entries.slice(base.index - model.base.index) }
}

function held(log: SegmentLog): Model {
  const { reader } = log
  const to = reader.lastIndex()
  const entries = to === reader.base.index ? [] : reader.read({ from: reader.base.index + 1, to, bytesMax: Infinity })
  return { base: { ...reader.base }, entries, hardState: log.hardState }
}

/** Without what a log may or may not have given up: everything after `base`, and term and vote. */
function text({ base, entries, hardState }: Model, from: number): string {
  const after = entries.filter(({ index }) => index > from).map(({ index, term, bytes }) => `${index}/${term}/${bytes.length}`)
  return `${Math.max(base.index, from)} ${hardState.term}${hardState.votedFor ?? ''} ${after.join(' ')}`
}

class Life {
  readonly log: SegmentLog
  readonly fatal: FatalProblem[] = []
  readonly #turns: (() => void)[] = []
  readonly steps: WriterStep[] = []
  /** All that may be on the disk, oldest first: the first is durable for certain. */
  possible: readonly { readonly sequence: number; readonly model: Model }[]
  #sequence = 0

  constructor(disk: MemoryDisk, before: readonly Model[]) {
    const schedule = (step: WriterStep, turn: () => void): void => {
      this.steps.push(step)
      this.#turns.push(turn)
    }
    const opened = openSegmentLogOn(disk, startInlineWriter(disk, schedule), {
      logId,
      onFatal: (problem) => this.fatal.push(problem),
      limits,
    })
    assert(opened.ok, opened.ok ? '' : opened.problem.message)
    this.log = opened.value
    const found = held(this.log)
    const match = before.find((model) => text(model, found.base.index) === text(found, model.base.index))
    assert(match !== undefined, `found ${text(found, 0)}\nexpected one of\n${before.map((model) => text(model, 0)).join('\n')}`)
    this.possible = [{ sequence: 0, model: found }]
    this.log.onDurable((sequence) => (this.possible = this.possible.filter((one) => one.sequence >= sequence)))
  }

  get model(): Model {
    return this.possible.at(-1)?.model ?? empty
  }

  append(fields: Omit<Persist, 'sequence'>): void {
    this.#sequence += 1
    const persist = { sequence: this.#sequence, ...fields }
    this.possible = [...this.possible, { sequence: this.#sequence, model: persisted(this.model, persist) }]
    this.log.append(persist)
    assert.equal(text(held(this.log), 0), text(this.model, 0), 'what was appended is read at once')
  }

  /** Of what is durable, as the replica does. */
  compact(share: number): void {
    const durable = this.possible[0]?.model ?? empty
    // Nothing that a write under way replaces: only committed entries are given up.
    const safe = durable.entries.filter(({ index, term }) =>
      this.possible.every(({ model }) => model.base.index >= index || model.entries[index - model.base.index - 1]?.term === term),
    )
    const entry = safe[Math.floor((safe.length - 1) * share)]
    if (entry === undefined || entry.index <= this.log.reader.base.index || this.model.base.index > durable.base.index) return
    this.log.compact({ index: entry.index, term: entry.term })
    this.possible = this.possible.map(({ sequence, model }) => ({ sequence, model: compacted(model, entry) }))
  }

  turn(): void {
    this.#turns.shift()?.()
  }
}

/** Random work until the power goes or `steps` are done. */
function live(life: Life, random: (limit: number) => number, steps: number): void {
  for (let step = 0; step < steps && life.fatal.length === 0; step += 1) {
    const what = random(10)
    const { base, entries, hardState } = life.model
    const last = base.index + entries.length
    if (what < 4) {
      // Above everything committed, as a new leader's entries are; the committed part is what a compaction could reach.
      const replaces = random(4) === 0 && life.possible.length === 1 ? random(Math.min(3, entries.length) + 1) : 0
      const term = hardState.term + (replaces > 0 ? 1 : random(2))
      const batch = Array.from({ length: 1 + random(4) }, (_, at) =>
        makeEntry({ index: last - replaces + 1 + at, term, kind: 'command', payload: new Uint8Array(random(200)) }),
      )
      life.append({ hardState: { term, votedFor: random(2) === 0 ? undefined : ('n1' as NodeId) }, entries: batch })
    } else if (what === 4) life.compact(random(100) / 100)
    else if (what === 5 && random(4) === 0)
      life.append({
        hardState: undefined,
        entries: [],
        reset: { index: last + random(20) - 3 > 0 ? last + random(20) : 1, term: hardState.term },
      })
    else life.turn()
  }
}

test('whatever call the power goes at, compaction and reset included, the log opens with what was durable, or more, and goes on', () => {
  const lost: Record<string, number> = {}
  for (let seed = 1; seed <= 400; seed += 1) {
    const random = seededRandom(seed)
    const disk = new MemoryDisk()
    createLog(disk, logId)
    let before: readonly Model[] = [empty]
    for (let round = 0; round < 6; round += 1) {
      let life: Life | undefined
      // The first calls of a life are those of opening: a crash there as well.
      disk.losePowerAfter(round === 5 ? Infinity : 1 + random(60))
      try {
        life = new Life(disk, before)
        live(life, random, 80)
        assert.deepEqual(life.fatal, [])
        before = life.possible.map(({ model }) => model)
        for (const step of life.steps) lost[step] = (lost[step] ?? 0) + 1
      } catch (error) {
        if (!(error instanceof PowerLost)) throw new Error(`seed ${seed}, round ${round}`, { cause: error })
        // Read from while it had no power, or while opening: what it was is what may be there.
        if (life !== undefined) before = life.possible.map(({ model }) => model)
      }
      disk.powerFailure(random(2 ** 31))
    }
  }
  assert((lost['tidy'] ?? 0) > 100, 'segments were removed')
})
