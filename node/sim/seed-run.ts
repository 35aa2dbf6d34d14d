// One seed from beginning to end: draws what it is about, runs it with faults, lets everything heal, and judges.
import { checkHistory } from './checkers/check-history.ts'
import { finalCounterProblem } from './checkers/counter.ts'
import { Chance } from './chance.ts'
import { Client, type Habits } from './client.ts'
import { drawFaults, type Fault } from './fault.ts'
import { History } from './history.ts'
import { Nemesis } from './nemesis.ts'
import type { Operation } from './operation.ts'
import type { Membership } from '../raft/membership.ts'
import { RealDatabase } from './real-database.ts'
import { tickMs, electionTicks, type SimNode } from './sim-node.ts'
import { Trace } from './trace.ts'
import { must, Violation } from './violation.ts'
import { World } from './world.ts'

export interface SeedVerdict {
  readonly seed: number
  /** Undefined: everything held. */
  readonly violation: { readonly rule: string; readonly message: string } | undefined
  readonly faults: readonly Fault[]
  readonly traceHash: string
  readonly events: number
  readonly virtualMs: number
  readonly operations: number
  readonly sometimes: readonly (readonly [string, number])[]
}

export interface SeedOptions {
  readonly seed: number
  /** Numbers of faults that are left out. */
  readonly without?: ReadonlySet<number>
  readonly write?: (line: string) => void
}

/** Of the seeds run on SQLite instead of the cheap state machine. */
const realShare = 0.04

/** Faults stop; a majority is whole: within so many election timeouts it must have a leader, and commit, and everyone must have caught up. */
const livenessMs = 150 * tickMs * electionTicks

export async function runSeed(options: SeedOptions): Promise<SeedVerdict> {
  const chance = new Chance(options.seed)
  const trace = new Trace(options.write)
  const safetyMs = chance.pick([4_000, 8_000, 15_000]) ?? 8_000
  const allFaults = drawFaults(chance.fork(1), { untilMs: safetyMs })
  const faults = allFaults.filter((fault) => options.without?.has(fault.number) !== true)
  // Drawn apart, so that it moves nothing else.
  const isReal = new Chance(options.seed + 0.5 * 2 ** 32).happens(realShare)
  const worldOptions = {
    seed: chance.below(2 ** 30),
    founders: chance.pick([1, 2, 3, 3, 3, 3, 4, 5, 5]) ?? 3,
    clockDrift: chance.happens(0.5) ? 0.05 : 0,
    usesBytes: chance.happens(0.3),
    compaction: {
      everyEntries: chance.pick([5, 20, 80]) ?? 20,
      intervalMs: chance.pick([100, 500, 2000]) ?? 500,
      trailingEntries: chance.pick([0, 0, 5, 40, 1000]) ?? 5,
      logBytesMax: chance.pick([8_000, 30_000, 10_000_000]) ?? 30_000,
    },
    stateHashEveryEntries: chance.pick([7, 25, 100]) ?? 25,
    ...(isReal ? { makeDatabase: (databaseChance: Chance) => new RealDatabase(databaseChance) } : {}),
  }
  const habits = drawHabits(chance.fork(2))
  const history = new History()
  let world: World | undefined
  let violation: SeedVerdict['violation']
  try {
    world = new World(worldOptions, trace)
    if (isReal) world.sometimes.met('SQLite as the state machine')
    current = world
    await new SeedRun(world, { history, faults, habits, chance: chance.fork(3) }).run(safetyMs)
  } catch (error) {
    violation = violationOf(error)
    trace.note(world?.queue.nowMs ?? 0, 'violation', `${violation.rule}: ${violation.message}`)
  } finally {
    current = undefined
    for (const node of world?.nodes ?? []) node.database.dispose()
  }
  return {
    seed: options.seed,
    violation,
    faults,
    traceHash: trace.hash,
    events: trace.events,
    virtualMs: world?.queue.nowMs ?? 0,
    operations: history.records.length,
    sometimes: Array.from(world?.sometimes.counts ?? []),
  }
}

let current: World | undefined

/** A promise of the production code has been rejected and nobody listens: the run that is under way ends with it. */
export function rejected(error: unknown): void {
  if (current === undefined) throw error
  current.broke(error)
}

class SeedRun {
  readonly #world: World
  readonly #history: History
  readonly #nemesis: Nemesis
  readonly #clients: readonly Client[]

  constructor(
    world: World,
    parts: { readonly history: History; readonly faults: readonly Fault[]; readonly habits: Habits; readonly chance: Chance },
  ) {
    const { history, faults, habits, chance } = parts
    this.#world = world
    this.#history = history
    this.#nemesis = new Nemesis(world, faults)
    const count = 2 + chance.below(4)
    this.#clients = Array.from(
      { length: count },
      (_, at) => new Client(world, { history, habits, chance: chance.fork(at), number: at + 1 }),
    )
  }

  async run(safetyMs: number): Promise<void> {
    const world = this.#world
    await world.run(safetyMs)
    world.trace.note(world.queue.nowMs, 'run', 'faults end')
    for (const client of this.#clients) client.stop()
    this.#nemesis.end()
    await this.#recover()
    await world.hearRejections()
    this.#judge()
  }

  /** Liveness: a last increment is acknowledged, everything can be read, and all members have applied the same. */
  async #recover(): Promise<void> {
    const world = this.#world
    const untilMs = world.queue.nowMs + livenessMs
    const left = new Set<number>()
    const last = new Client(world, { history: this.#history, habits: quiet, chance: new Chance(1), number: 0 })
    last.stop()
    for (const [at, operation] of lastQuestions().entries()) {
      left.add(at)
      world.queue.after(100 * at, undefined, () => last.ask(operation, () => left.delete(at)))
    }
    await world.run(untilMs, () => left.size === 0 && this.#isSettled())
    must(
      left.size === 0,
      'liveness',
      () => `${left.size} questions are not answered ${livenessMs} ms after the last fault: ${this.#inWords()}`,
    )
    must(this.#isSettled(), 'liveness', () => `not settled ${livenessMs} ms after the last fault: ${this.#inWords()}`)
    world.sometimes.met('run settled')
  }

  #members(): readonly SimNode[] {
    const members = this.#world.leader?.status?.membership.members ?? []
    return this.#world.nodes.filter((node) => members.some((member) => member.id === node.id && member.incarnation === node.incarnation))
  }

  #isSettled(): boolean {
    const leader = this.#world.leader?.status
    if (leader === undefined || leader.commitIndex < leader.lastIndex) return false
    return this.#members().every(
      (node) => node.isGone || (node.status?.appliedIndex === leader.commitIndex && node.life?.machine.appliedIndex === leader.commitIndex),
    )
  }

  #judge(): void {
    const world = this.#world
    const machines = this.#members().flatMap((node) => (node.life === undefined ? [] : [{ id: node.id, machine: node.life.machine }]))
    const first = machines[0]
    must(first !== undefined, 'liveness', () => 'no member runs')
    for (const { id, machine } of machines)
      must(
        machine.digest() === first.machine.digest(),
        'equal state',
        () => `${id} and ${first.id} hold different data at entry ${machine.appliedIndex}`,
      )
    const { problems, undecided } = checkHistory(this.#history.records)
    if (undecided > 0) world.sometimes.met('register search given up')
    must(problems.length === 0, 'history', () => problems.join('; '))
    this.#judgeCounters(first.machine.audit())
    world.sometimes.met('operations', this.#history.records.length)
  }

  #judgeCounters(audit: { readonly counters: ReadonlyMap<number, number>; readonly done: ReadonlySet<number> }): void {
    const increments = this.#history.records.flatMap(({ operation, ending }) =>
      operation.kind === 'increment' ? [{ operation, ending }] : [],
    )
    for (const { operation, ending } of increments)
      must(
        ending.kind !== 'answered' || audit.done.has(operation.value),
        'history',
        () => `an acknowledged increment of counter ${operation.key} is lost`,
      )
    for (const [key, value] of audit.counters) {
      const done = increments
        .filter(({ operation }) => operation.key === key && audit.done.has(operation.value))
        .map(({ operation }) => operation)
      const problem = finalCounterProblem({ value, done })
      must(problem === undefined, 'history', () => `counter ${key}: ${problem}`)
    }
  }

  #inWords(): string {
    return this.#world.nodes
      .map(({ id, isGone, status }) =>
        isGone
          ? `${id} gone`
          : status === undefined
            ? `${id} down`
            : `${id} ${status.role} t${status.term} ${status.appliedIndex}/${status.commitIndex}/${status.lastIndex} of ${inWordsMembership(status.membership)}`,
      )
      .join(', ')
  }
}

function inWordsMembership({ members }: Membership): string {
  return members.map(({ id, suffrage }) => (suffrage === 'voter' ? id : `(${id})`)).join('+')
}

const quiet: Habits = { thinkMsMean: 1, keys: 1, weights: { write: 0, cas: 0, append: 0, transfer: 0, increment: 0, read: 1 }, strays: 0 }
const keysMax = 4

function lastQuestions(): readonly Operation[] {
  const keys = Array.from({ length: keysMax }, (_, key) => key)
  return [
    { kind: 'increment', key: 0, value: 1, by: 1 },
    { kind: 'read', of: 'accounts', key: 0 },
    ...keys.flatMap((key) => (['register', 'list', 'counter'] as const).map((of) => ({ kind: 'read', of, key }) as const)),
  ]
}

function drawHabits(chance: Chance): Habits {
  const weight = (): number => (chance.happens(0.8) ? chance.fraction() : 0)
  return {
    thinkMsMean: chance.pick([10, 30, 100]) ?? 30,
    keys: 1 + chance.below(keysMax),
    weights: { write: weight(), cas: weight(), append: weight(), transfer: weight(), increment: weight(), read: 0.3 + chance.fraction() },
    strays: chance.pick([0, 0.3, 1]) ?? 0,
  }
}

function violationOf(error: unknown): { readonly rule: string; readonly message: string } {
  if (error instanceof Violation) return { rule: error.rule, message: error.message }
  if (!(error instanceof Error)) return { rule: 'thrown', message: String(error) }
  return {
    rule: `thrown: ${error.message.slice(0, 60)}`,
    message: `${error.name}: ${error.message}\n${(error.stack ?? '').split('\n').slice(1, 6).join('\n')}`,
  }
}
