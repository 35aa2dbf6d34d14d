// Commands as clients would send them: some statements of every kind, with time and seed.
import type { Command, SqlValue, Statement } from '../../command/command.ts'
import { seedBytes } from '../../command/entry-moment.ts'
import { foreignKeysStatement } from '../../command/upkeep.ts'
import { ChangeWriter } from './change-writer.ts'
import type { Chance } from './chance.ts'
import { DefinitionWriter } from './definition-writer.ts'
import { ExpressionWriter } from './expression-writer.ts'
import { writeHostile } from './hostile-writer.ts'
import type { SchemaModel } from './schema-model.ts'

const statementsMax = 10

export interface WrittenCommand {
  readonly command: Command
  /** As the leader proposes it by itself: the gate does not see it. */
  readonly isOurs: boolean
}

export class CommandWriter {
  readonly #chance: Chance
  readonly #definitions: DefinitionWriter
  readonly #changes: ChangeWriter
  #timeMs = Date.UTC(2026, 0, 1)

  constructor(chance: Chance) {
    const expressions = new ExpressionWriter(chance)
    this.#chance = chance
    this.#definitions = new DefinitionWriter(chance, expressions)
    this.#changes = new ChangeWriter(chance, expressions)
  }

  write(schema: SchemaModel): WrittenCommand {
    const chance = this.#chance
    // Another leader's clock may be behind.
    this.#timeMs += chance.below(10_000) - 2_000
    if (chance.isLucky(1)) return { command: this.#command([plain(foreignKeysStatement(chance.isLucky(50)))]), isOurs: true }
    if (chance.isLucky(2))
      return {
        command: this.#command([plain(chance.pick(['ANALYZE', 'PRAGMA optimize', 'REINDEX', 'VACUUM', 'VACUUM main']))]),
        isOurs: false,
      }
    if (chance.isLucky(3)) return { command: this.#command(this.#definitions.fullTextStory().map(plain)), isOurs: false }
    return { command: this.#command(chance.some(1, statementsMax, () => this.#statement(schema))), isOurs: false }
  }

  #command(statements: readonly Statement[]): Command {
    const chance = this.#chance
    return {
      kind: chance.pick(['execute', 'request']),
      statements,
      transaction: chance.isLucky(30),
      proposedAtMs: this.#timeMs,
      seed: chance.bytes(seedBytes),
    }
  }

  #statement(schema: SchemaModel): Statement {
    const chance = this.#chance
    const values: SqlValue[] = []
    if (schema.tables.length < 3) return plain(this.#definitions.table(schema))
    const sql =
      chance.weighted<() => string>([
        [12, () => this.#definitions.write(schema)],
        [60, () => this.#changes.change(schema, values)],
        [16, () => this.#changes.read(schema, values)],
        [6, () => writeHostile(chance, () => this.#changes.change(schema, values))],
        [1, () => 'SELECT rowid, type, name, tbl_name, sql FROM sqlite_schema'],
        [1, () => `PRAGMA user_version = ${chance.below(99)}`],
        [2, () => `${this.#changes.change(schema, [])}; ${this.#changes.read(schema, [])}`],
      ]) ?? (() => '')
    return { sql: sql(), parameters: { kind: 'positional', values } }
  }
}

function plain(sql: string): Statement {
  return { sql, parameters: { kind: 'positional', values: [] } }
}
