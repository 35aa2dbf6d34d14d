// Statements that define: tables of every kind, indexes, views, triggers, virtual tables, and their changes.
import { quotedName } from '../../command/tokenizer.ts'
import type { Chance } from './chance.ts'
import { type ExpressionWriter, type Scope } from './expression-writer.ts'
import type { ColumnType, ModelTable, SchemaModel } from './schema-model.ts'

const names = ['a', 'b', 'c', 'd e', 'date', 'key', 'Größe'] as const
const types = ['integer', 'text', 'real', 'any'] as const

/** With more tables than this, one is dropped before another is made. */
const tablesMax = 9

export class DefinitionWriter {
  readonly #chance: Chance
  readonly #expressions: ExpressionWriter
  #made = 0

  constructor(chance: Chance, expressions: ExpressionWriter) {
    this.#chance = chance
    this.#expressions = expressions
  }

  write(schema: SchemaModel): string {
    const chance = this.#chance
    if (schema.tables.length > tablesMax) return this.#drop(schema)
    const table = chance.any(schema.tables.filter(({ kind }) => kind === 'table'))
    if (table === undefined || schema.tables.length < 3) return this.table(schema)
    return (
      chance.weighted<() => string>([
        [4, () => this.table(schema)],
        [5, () => this.#index(table)],
        [2, () => this.#view(schema, table)],
        [5, () => this.#trigger(schema, table)],
        [1, () => this.#virtualTable()],
        [4, () => this.#alter(table)],
        [5, () => this.#drop(schema)],
      ]) ?? (() => '')
    )()
  }

  table(schema: SchemaModel): string {
    const chance = this.#chance
    const isStrict = chance.isLucky(25)
    const hasRowid = chance.isLucky(80)
    const columns = names.slice(0, 2 + chance.below(5)).map((name): readonly [string, ColumnType] => [name, chance.pick(types)])
    const scope: Scope = { columns: columns.map(([name, type]) => [quotedName(name), type]), values: undefined, isKept: true, tables: [] }
    const key = hasRowid ? chance.pick(['id INTEGER PRIMARY KEY', 'id INTEGER PRIMARY KEY AUTOINCREMENT', 'id INTEGER']) : 'id INTEGER NOT NULL DEFAULT (abs(random() % 100000)) PRIMARY KEY' // prettier-ignore
    const texts = [key, ...columns.map(([name, type]) => this.#column(name, type, { isStrict, scope, schema }))]
    if (chance.isLucky(20))
      texts.push(`g ${isStrict ? 'ANY' : ''} AS (${this.#expressions.expression(scope, 'any', 1)}) ${chance.pick(['STORED', 'VIRTUAL'])}`)
    if (chance.isLucky(10)) texts.push(`CHECK (${this.#expressions.condition(scope, 1)} OR id IS NOT NULL)`)
    const options = [...(isStrict ? ['STRICT'] : []), ...(hasRowid ? [] : ['WITHOUT ROWID'])].join(', ')
    return `CREATE TABLE ${this.#name('t')} (${texts.join(', ')}) ${options}`
  }

  #column(
    name: string,
    type: ColumnType,
    { isStrict, scope, schema }: { readonly isStrict: boolean; readonly scope: Scope; readonly schema: SchemaModel },
  ): string {
    const chance = this.#chance
    const declared = type === 'any' ? (isStrict ? 'ANY' : '') : type.toUpperCase()
    const initial: Scope = { columns: [], values: undefined, tables: [] }
    const parent = chance.any(schema.tables.filter((table) => table.kind === 'table' && table.hasRowid))
    return [
      quotedName(name),
      declared,
      chance.maybe(35, () => ` DEFAULT (${this.#initial(initial, type)})`),
      chance.maybe(
        8,
        () => ` UNIQUE ${chance.maybe(40, () => `ON CONFLICT ${chance.pick(['REPLACE', 'IGNORE', 'ROLLBACK', 'FAIL', 'ABORT'])}`)}`,
      ),
      chance.maybe(5, () => ' NOT NULL'),
      chance.maybe(5, () => ` COLLATE ${chance.pick(['NOCASE', 'RTRIM'])}`),
      chance.maybe(8, () => ` CHECK (${this.#expressions.condition(scope, 0)} OR ${quotedName(name)} IS NULL OR 1)`),
      parent === undefined || type !== 'integer' ? '' : chance.maybe(15, () => ` REFERENCES ${quotedName(parent.name)} (id) ON DELETE ${chance.pick(['CASCADE', 'SET NULL'])} ${chance.maybe(40, () => 'DEFERRABLE INITIALLY DEFERRED')}`), // prettier-ignore
    ].join(' ')
  }

  /** No subqueries in DEFAULT. */
  #initial(scope: Scope, type: ColumnType): string {
    return this.#expressions.expression({ ...scope, tables: [] }, type, 1)
  }

  #index(table: ModelTable): string {
    const chance = this.#chance
    const scope = keptScope(table)
    const parts = chance.some(1, 2, () =>
      chance.isLucky(65)
        ? `${chance.any(scope.columns)?.[0] ?? 'id'} ${chance.pick(['', 'DESC', 'COLLATE NOCASE'])}`
        : this.#expressions.expression(scope, 'any', 1),
    )
    return `CREATE ${chance.maybe(6, () => 'UNIQUE ')}INDEX ${this.#name('i')} ON ${quotedName(table.name)} (${parts.join(', ')})${chance.maybe(20, () => ` WHERE ${this.#expressions.condition(scope, 1)}`)}`
  }

  #view(schema: SchemaModel, table: ModelTable): string {
    const scope: Scope = { columns: columnsAs(table, ''), values: undefined, tables: schema.tables }
    const columns = this.#chance
      .some(1, 3, () => this.#expressions.expression(scope, 'any', 2))
      .map((text, at) => `${text} AS ${names[at] ?? 'z'}`)
    return `CREATE VIEW ${this.#name('v')} AS SELECT ${columns.join(', ')} FROM ${quotedName(table.name)} WHERE ${this.#expressions.condition(scope, 1)} LIMIT 20`
  }

  #trigger(schema: SchemaModel, table: ModelTable): string {
    const chance = this.#chance
    const event = chance.pick(['INSERT', 'UPDATE', 'DELETE'])
    const rows = event === 'INSERT' ? ['new'] : event === 'DELETE' ? ['old'] : ['new', 'old']
    const columns = rows.flatMap((row) => columnsAs(table, `${row}.`))
    const scope: Scope = { columns, values: undefined, tables: schema.tables }
    const body = chance.some(1, 2, () => this.#triggered(schema, scope)).join('; ')
    const isGuard = chance.isLucky(12)
    const when = isGuard ? `WHEN abs(random()) % 4 = 0` : chance.maybe(40, () => `WHEN ${this.#expressions.condition(scope, 1)}`)
    const raise = `SELECT RAISE(${chance.pick(["ABORT, 'no'", "FAIL, 'no'", "ROLLBACK, 'no'", 'IGNORE'])})`
    return `CREATE TRIGGER ${this.#name('r')} ${chance.pick(['AFTER', 'AFTER', 'BEFORE'])} ${event} ON ${quotedName(table.name)} ${when} BEGIN ${isGuard ? raise : body}; END`
  }

  #triggered(schema: SchemaModel, scope: Scope): string {
    const chance = this.#chance
    const target = chance.any(schema.tables.filter(({ kind, isStrict }) => kind === 'table' && !isStrict))
    const columns = target?.columns.filter(({ isGenerated, name }) => !isGenerated && name !== 'id') ?? []
    const column = chance.any(columns)
    if (target === undefined || column === undefined) return 'SELECT 1'
    const value = this.#expressions.expression(scope, column.type, 1)
    return chance.pick([
      `INSERT INTO ${quotedName(target.name)} (${quotedName(column.name)}) VALUES (${value})`,
      `INSERT OR IGNORE INTO ${quotedName(target.name)} (${quotedName(column.name)}) SELECT ${value} WHERE changes() < 3`,
      `UPDATE ${quotedName(target.name)} SET ${quotedName(column.name)} = ${value} WHERE id = ${chance.below(12)}`,
      `DELETE FROM ${quotedName(target.name)} WHERE id = last_insert_rowid() % 7`,
    ])
  }

  #virtualTable(): string {
    return this.#chance.pick([
      `CREATE VIRTUAL TABLE ${this.#name('f')} USING fts5(a, b${this.#chance.maybe(30, () => ", prefix='2 3'")})`,
      `CREATE VIRTUAL TABLE ${this.#name('f')} USING fts4(a, b)`,
      `CREATE VIRTUAL TABLE ${this.#name('f')} USING fts5(a, b, content='', contentless_delete=1)`,
      `CREATE VIRTUAL TABLE ${this.#name('p')} USING rtree(id, a, b)`,
    ])
  }

  /** Made, filled, changed and dropped within one command: what it keeps in memory meets a schema that is read anew, and failures that take it back. */
  fullTextStory(): readonly string[] {
    const chance = this.#chance
    const name = this.#name('f')
    const other = this.#name('f')
    const fill = `INSERT INTO ${name} (a, b) VALUES ('red green', random())`
    const change = (): string =>
      chance.pick([
        fill,
        fill,
        `INSERT INTO ${name} (${name}) VALUES ('${chance.pick(['optimize', 'rebuild', 'merge=4,2'])}')`,
        `DELETE FROM ${name} WHERE rowid = 1`,
        `ALTER TABLE ${name} RENAME TO ${other}`,
        `DROP TABLE ${chance.pick([name, other])}`,
        `CREATE TABLE ${this.#name('t')} (id INTEGER PRIMARY KEY, a)`,
        `INSERT OR ROLLBACK INTO ${name} (rowid, a) VALUES (1, 'again')`,
        'SELECT abs(-9223372036854775808)',
      ])
    return [`CREATE VIRTUAL TABLE ${name} USING ${chance.pick(['fts3', 'fts4', 'fts5'])}(a, b)`, fill, ...chance.some(1, 8, change)]
  }

  #alter(table: ModelTable): string {
    const chance = this.#chance
    const column = chance.any(table.columns.filter(({ name }) => name !== 'id'))
    const add = `ADD COLUMN ${this.#name('n')} ${table.isStrict ? 'TEXT' : chance.pick(['TEXT', '', 'INTEGER DEFAULT 7'])}`
    const change = chance.pick([
      add,
      add,
      `RENAME TO ${this.#name('t')}`,
      column === undefined ? add : `RENAME COLUMN ${quotedName(column.name)} TO ${this.#name('c')}`,
      column === undefined ? add : `DROP COLUMN ${quotedName(column.name)}`,
      `ADD COLUMN ${this.#name('x')} AS (${this.#expressions.expression(keptScope(table), 'any', 1)})`,
    ])
    return `ALTER TABLE ${quotedName(table.name)} ${change}`
  }

  #drop(schema: SchemaModel): string {
    const chance = this.#chance
    const index = chance.any(schema.indexes)
    const trigger = chance.any(schema.triggers)
    // Triggers outlive what they write to, and then fail: they go first.
    if (trigger !== undefined && chance.isLucky(schema.triggers.length > 4 ? 70 : 35)) return `DROP TRIGGER ${quotedName(trigger)}`
    if (index !== undefined && chance.isLucky(40)) return `DROP INDEX ${quotedName(index)}`
    const table = chance.any(schema.tables)
    if (table === undefined) return this.table(schema)
    return `DROP ${table.kind === 'view' ? 'VIEW' : 'TABLE'} ${quotedName(table.name)}`
  }

  #name(prefix: string): string {
    this.#made += 1
    return `${prefix}${this.#made}`
  }
}

export function columnsAs({ columns }: ModelTable, prefix: string): Scope['columns'] {
  return columns.map(({ name, type }) => [`${prefix}${quotedName(name)}`, type])
}

function keptScope(table: ModelTable): Scope {
  return { columns: columnsAs(table, ''), values: undefined, isKept: true, tables: [] }
}
