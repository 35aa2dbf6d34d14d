// Statements that change rows, or read them.
import { quotedName } from '../../command/tokenizer.ts'
import type { SqlValue } from '../../command/command.ts'
import type { Chance } from './chance.ts'
import { columnsAs } from './definition-writer.ts'
import { type ExpressionWriter, type Scope } from './expression-writer.ts'
import type { ModelColumn, ModelTable, SchemaModel } from './schema-model.ts'

/** Tables stay small: what matters is what happens, not how often. */
const rowsMax = 40

export class ChangeWriter {
  readonly #chance: Chance
  readonly #expressions: ExpressionWriter

  constructor(chance: Chance, expressions: ExpressionWriter) {
    this.#chance = chance
    this.#expressions = expressions
  }

  change(schema: SchemaModel, values: SqlValue[]): string {
    const table = this.#chance.any(schema.tables.filter(({ kind }) => kind !== 'view'))
    if (table === undefined) return 'SELECT 1'
    if (table.kind === 'full-text') return this.#fullText(table, values)
    if (table.kind === 'rtree') return this.#box(table)
    return (
      this.#chance.weighted<() => string>([
        [10, () => this.#insert(schema, table, values)],
        [5, () => this.#update(schema, table, values)],
        [3, () => this.#delete(schema, table, values)],
      ]) ?? (() => '')
    )()
  }

  read(schema: SchemaModel, values: SqlValue[]): string {
    const chance = this.#chance
    const table = chance.any(schema.tables)
    if (table === undefined) return 'SELECT random()'
    const scope = scopeOf(schema, table, values, 't.')
    const what = chance.some(1, 3, () => this.#expressions.expression(scope, 'any', 2)).join(', ')
    const column = quotedName(chance.any(table.columns)?.name ?? 'id')
    return (
      chance.weighted<() => string>([
        [4, () => `SELECT ${what} FROM ${quotedName(table.name)} AS t WHERE ${this.#expressions.condition(scope, 1)} ORDER BY ${chance.pick(['random()', '1', `t.${column}`])} LIMIT 5`],
        [2, () => `SELECT count(*), max(${column}), group_concat(t.${column}) FROM ${quotedName(table.name)} AS t GROUP BY t.${column} LIMIT 5`],
        [2, () => `SELECT ${column}, row_number() OVER (ORDER BY ${column}, random()), sum(1) OVER (PARTITION BY typeof(${column})) FROM ${quotedName(table.name)} AS t LIMIT 5`],
        [1, () => `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i, random() FROM n CROSS JOIN ${quotedName(table.name)} AS t LIMIT 9`],
        [1, () => chance.pick([`PRAGMA table_info(${quotedName(table.name)})`, 'PRAGMA user_version', 'PRAGMA foreign_keys', 'PRAGMA integrity_check(3)', 'EXPLAIN QUERY PLAN SELECT 1', `PRAGMA foreign_key_check(${quotedName(table.name)})`])],
      ]) ?? (() => '')
    )() // prettier-ignore
  }

  #insert(schema: SchemaModel, table: ModelTable, values: SqlValue[]): string {
    const chance = this.#chance
    const scope = scopeOf(schema, undefined, values, '')
    const columns = this.#written(table)
    const into = `${chance.maybe(8, () => 'WITH w(x) AS (VALUES (random()), (2)) ')}${chance.pick(['INSERT', 'INSERT', 'INSERT', 'REPLACE', 'INSERT OR IGNORE', 'INSERT OR REPLACE', 'INSERT OR FAIL', 'INSERT OR ABORT', 'INSERT OR ROLLBACK'])} INTO ${quotedName(table.name)}`
    if (chance.isLucky(8)) return `${into} DEFAULT VALUES`
    const list = columns.map(({ name }) => quotedName(name)).join(', ')
    const row = (from: Scope): string => columns.map((column) => this.#valueFor(column, from)).join(', ')
    const source = chance.any(schema.tables.filter(({ kind }) => kind === 'table'))
    const rows =
      source !== undefined && chance.isLucky(20)
        ? `SELECT ${row(scopeOf(schema, source, values, 's.'))} FROM ${quotedName(source.name)} AS s ORDER BY ${chance.pick(['random()', '1'])} LIMIT ${1 + chance.below(6)}`
        : `VALUES ${chance.some(1, 3, () => `(${row(scope)})`).join(', ')}`
    const target = columns[0]
    const upsert =
      target !== undefined && rows.startsWith('VALUES')
        ? chance.maybe(
            15,
            () =>
              ` ON CONFLICT DO ${chance.pick(['NOTHING', `UPDATE SET ${quotedName(target.name)} = excluded.${quotedName(target.name)}`])}`,
          )
        : ''
    return `${into} (${list}) ${rows}${upsert}${this.#returning(schema, table, values)}`
  }

  #update(schema: SchemaModel, table: ModelTable, values: SqlValue[]): string {
    const chance = this.#chance
    const scope = scopeOf(schema, table, values, '')
    const column = chance.any(this.#written(table)) ?? { name: 'id', type: 'integer', isGenerated: false }
    const set = `${quotedName(column.name)} = ${this.#valueFor(column, scope)}`
    const from = chance.isLucky(10) ? ' FROM (SELECT random() AS r) AS other' : ''
    const where = ` WHERE ${this.#expressions.condition(scope, 1)}`
    const limit =
      from === '' && table.hasRowid ? chance.maybe(15, () => ` ORDER BY ${chance.pick(['random()', 'id'])} LIMIT ${chance.below(5)}`) : ''
    const returning = limit === '' ? this.#returning(schema, table, values) : ''
    return `UPDATE ${chance.maybe(20, () => `OR ${chance.pick(['IGNORE', 'REPLACE', 'FAIL', 'ROLLBACK'])} `)}${quotedName(table.name)} SET ${set}${from}${where}${returning}${limit}`
  }

  #delete(schema: SchemaModel, table: ModelTable, values: SqlValue[]): string {
    const chance = this.#chance
    const scope = scopeOf(schema, table, values, '')
    if (chance.isLucky(40))
      return `DELETE FROM ${quotedName(table.name)} WHERE id IN (SELECT id FROM ${quotedName(table.name)} ORDER BY id LIMIT -1 OFFSET ${rowsMax / 2})`
    return `DELETE FROM ${quotedName(table.name)} WHERE ${this.#expressions.condition(scope, 1)}${this.#returning(schema, table, values)}`
  }

  #returning(schema: SchemaModel, table: ModelTable, values: SqlValue[]): string {
    const scope = scopeOf({ ...schema, tables: [] }, table, values, '')
    return this.#chance.maybe(
      20,
      () => ` RETURNING ${this.#expressions.expression(scope, 'any', 1)}, ${this.#chance.pick(['*', 'id', 'random()'])}`,
    )
  }

  #fullText(table: ModelTable, values: SqlValue[]): string {
    const chance = this.#chance
    const scope = scopeOf({ tables: [], indexes: [], triggers: [] }, undefined, values, '')
    const text = (): string => `${this.#expressions.expression(scope, 'text', 1)} || ' red green'`
    const name = quotedName(table.name)
    return chance.pick([
      () => `INSERT INTO ${name} (a, b) VALUES (${text()}, ${text()})`,
      () => `INSERT INTO ${name} DEFAULT VALUES`,
      () => `INSERT INTO ${name} (rowid, a) VALUES (${chance.below(20)}, ${text()})`,
      () => `UPDATE ${name} SET a = ${text()} WHERE rowid = ${chance.below(20)}`,
      () => `DELETE FROM ${name} WHERE ${chance.pick([`rowid > ${rowsMax / 2}`, `rowid = ${chance.below(20)}`, `${name} MATCH 'green'`])}`,
      () => `INSERT INTO ${name} (${name}) VALUES ('${chance.pick(['optimize', 'rebuild', 'integrity-check'])}')`,
    ])()
  }

  #box({ name }: ModelTable): string {
    const chance = this.#chance
    return chance.pick([
      `INSERT OR REPLACE INTO ${quotedName(name)} VALUES (${chance.pick(['NULL', 'abs(random() % 9)'])}, ${chance.below(5)}, ${5 + chance.below(9)})`,
      `DELETE FROM ${quotedName(name)} WHERE id > ${chance.below(30)}`,
      `UPDATE ${quotedName(name)} SET b = b + abs(random() % 3) WHERE id = ${chance.below(9)}`,
    ])
  }

  /** One to three columns; keys now and then. */
  #written({ columns }: ModelTable): readonly ModelColumn[] {
    const chance = this.#chance
    const writable = columns.filter(({ isGenerated, name }) => !isGenerated && name !== 'id')
    const chosen = writable.filter(() => chance.isLucky(60))
    const id = columns.find(({ name }) => name === 'id')
    const base = chosen.length > 0 ? chosen : writable.slice(0, 1)
    return id !== undefined && (base.length === 0 || chance.isLucky(15)) ? [id, ...base] : base
  }

  #valueFor({ name, type }: ModelColumn, scope: Scope): string {
    if (name === 'id') return String(1 + this.#chance.below(rowsMax))
    return this.#expressions.expression(scope, type, 2)
  }
}

function scopeOf({ tables }: SchemaModel, table: ModelTable | undefined, values: SqlValue[], prefix: string): Scope {
  return { columns: table === undefined ? [] : columnsAs(table, prefix), values, tables }
}
