// Writes commands, puts them before the gate, applies them on three replicas that group and restart each in its own way, and compares everything that can be seen.
import { isDeepStrictEqual } from 'node:util'
import { upkeepOf } from '../../command/upkeep.ts'
import { encodeCommand } from '../../command/command-codec.ts'
import type { Command } from '../../command/command.ts'
import { judgeText } from '../../command/gate.ts'
import { makeEntry, type Entry } from '../../raft/entry.ts'
import { Chance } from './chance.ts'
import { CommandWriter } from './command-writer.ts'
import { FuzzReplica } from './fuzz-replica.ts'
import { readSchema } from './schema-model.ts'

/** Commands between two looks at schema and state. */
const roundCommands = 24

export interface FuzzTally {
  /** Statements that were applied. */
  readonly statements: number
  readonly succeeded: number
  readonly refusedByGate: number
  readonly entries: number
  /** Why statements failed, most frequent first. */
  readonly failures: readonly (readonly [message: string, count: number])[]
}

export interface FuzzFailure {
  readonly kind: 'divergence' | 'escape' | 'stop'
  readonly message: string
}

export interface FuzzReport {
  readonly tally: FuzzTally
  readonly failure: FuzzFailure | undefined
}

interface Round {
  readonly entries: readonly Entry[]
  readonly commands: readonly Command[]
}

export class FuzzRun {
  readonly #chance: Chance
  readonly #writer: CommandWriter
  readonly #replicas: readonly [FuzzReplica, ...FuzzReplica[]]
  readonly #failures = new Map<string, number>()
  readonly #begin: (what: string) => void
  #atWork: FuzzReplica | undefined
  #index = 0
  #statements = 0
  #succeeded = 0
  #refused = 0

  /** `begin` hears what is under way, each time before something else begins. */
  constructor(seed: number, begin: (what: string) => void) {
    this.#begin = begin
    this.#chance = new Chance(seed)
    this.#writer = new CommandWriter(this.#chance)
    const chance = (n: number): Chance => new Chance(seed + n)
    this.#replicas = [
      new FuzzReplica({ name: 'one by one', groupMax: 1, restarts: 0, elsewhere: 'nowhere', hasRoom: true }, chance(1)),
      new FuzzReplica({ name: 'groups and restarts', groupMax: 16, restarts: 10, elsewhere: 'nowhere', hasRoom: false }, chance(2)),
      new FuzzReplica({ name: 'groups and threads', groupMax: 16, restarts: 0, elsewhere: 'threads', hasRoom: true }, chance(3)),
    ]
  }

  async run(statements: number): Promise<FuzzReport> {
    try {
      while (this.#statements < statements) {
        const failure = await this.#round()
        if (failure !== undefined) return { tally: this.#tally(), failure }
      }
      return { tally: this.#tally(), failure: undefined }
    } finally {
      for (const replica of this.#replicas) await replica.dispose()
    }
  }

  async #round(): Promise<FuzzFailure | undefined> {
    const round = this.#write()
    for (const replica of this.#replicas) {
      this.#atWork = replica
      const stop = await replica.apply(round.entries, (group) => this.#begin(`${replica.name}\n${statementsOf(round, group)}`))
      if (stop === undefined) continue
      return { kind: 'stop', message: `${replica.name}: ${stop.message}\nnot applied:\n${statementsOf(round, stop.entries)}` }
    }
    this.#atWork = undefined
    this.#begin('comparing')
    return this.#escaped() ?? this.#differing(round)
  }

  /** Something was thrown where nobody could catch it: whoever is at work has stopped. */
  broke(error: unknown): void {
    if (this.#atWork === undefined) throw error
    this.#atWork.broke(error)
  }

  #write(): Round {
    const schema = readSchema(this.#replicas[0].database)
    const entries: Entry[] = []
    const commands: Command[] = []
    while (entries.length < roundCommands) {
      const { command, isOurs } = this.#writer.write(schema)
      const statements = isOurs ? command.statements : command.statements.filter(({ sql }) => this.#passes(sql, command.kind))
      if (statements.length === 0) continue
      const allowed = { ...command, statements }
      this.#index += 1
      commands.push(allowed)
      entries.push(makeEntry({ index: this.#index, term: 1, kind: 'command', payload: encodeCommand(allowed) }))
    }
    return { entries, commands }
  }

  #passes(sql: string, purpose: Command['kind']): boolean {
    const judged = judgeText(sql, { for: purpose })
    if (judged.ok) return judged.value.length > 0
    this.#refused += 1
    return false
  }

  #escaped(): FuzzFailure | undefined {
    for (const replica of this.#replicas) {
      const message = replica.escape(this.#index)
      if (message !== undefined) return { kind: 'escape', message: `${replica.name}: ${message}` }
    }
    return undefined
  }

  #differing({ entries, commands }: Round): FuzzFailure | undefined {
    const [first, ...others] = this.#replicas
    for (const [at, { index }] of entries.entries()) {
      const expected = first.results(index)
      this.#count(expected)
      for (const other of others) {
        const results = other.results(index)
        if (isDeepStrictEqual(results, expected) || isVacuum(commands[at])) continue
        const place = expected.findIndex((result, one) => !isDeepStrictEqual(result, results[one]))
        const told = `${first.name}: ${inWords(expected[place])}\n${other.name}: ${inWords(results[place])}`
        return { kind: 'divergence', message: `entry ${index}, statement ${place + 1}\n${inWords(commands[at])}\n${told}` }
      }
    }
    for (const look of ['stateHash', 'fingerprint'] as const) {
      const expected = first[look]()
      const other = others.find((replica) => replica[look]() !== expected)
      if (other !== undefined)
        return {
          kind: 'divergence',
          message: `the ${look} of ${other.name} differs at entry ${this.#index}\n${commands.map(inWords).join('\n')}`,
        }
    }
    for (const replica of this.#replicas) replica.forgetResults()
    return undefined
  }

  #count(results: readonly unknown[]): void {
    for (const result of results as readonly { readonly kind: string; readonly message?: string }[]) {
      this.#statements += 1
      if (result.kind !== 'error') this.#succeeded += 1
      else {
        const kind = (result.message ?? '').replace(/["'`[]?\b[a-z]+\d+\b[^ ]*/gi, '…').slice(0, 60)
        this.#failures.set(kind, (this.#failures.get(kind) ?? 0) + 1)
      }
    }
  }

  #tally(): FuzzTally {
    return {
      statements: this.#statements,
      succeeded: this.#succeeded,
      refusedByGate: this.#refused,
      entries: this.#index,
      failures: [...this.#failures].toSorted(([, a], [, b]) => b - a).slice(0, 15),
    }
  }
}

/** One entry a line. */
function statementsOf({ entries, commands }: Round, group: readonly Entry[]): string {
  const first = entries[0]?.index ?? 0
  return group.map(({ index }) => `entry ${index}: ${inWords(commands[index - first])}`).join('\n')
}

function inWords(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one === 'bigint') return `${one}n`
    return one instanceof Uint8Array ? Buffer.from(one).toString('hex') : one
  })
}

/** A replica without room answers so; nothing else may tell. */
function isVacuum(command: Command | undefined): boolean {
  return command !== undefined && upkeepOf(command)?.kind === 'vacuum'
}
