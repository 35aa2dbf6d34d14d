// Expressions of SQLite's grammar that are likely to run: of a type that is asked for, over the columns in scope, with chance and the clock anywhere.
import { quotedName } from '../../command/tokenizer.ts'
import type { SqlValue } from '../../command/command.ts'
import type { Chance } from './chance.ts'
import type { ColumnType, ModelTable } from './schema-model.ts'

/** Where an expression stands. */
export interface Scope {
  /** Columns by type, written as they can be named here. */
  readonly columns: readonly (readonly [name: string, type: ColumnType])[]
  /** Values of parameters are put here; undefined: none are allowed (in a schema). */
  readonly values: SqlValue[] | undefined
  /** SQLite keeps what it gives: no chance, no clock, no subquery. */
  readonly isKept?: true
  /** For subqueries. */
  readonly tables: readonly ModelTable[]
}

export class ExpressionWriter {
  readonly #chance: Chance

  constructor(chance: Chance) {
    this.#chance = chance
  }

  expression(scope: Scope, type: ColumnType, depth = 2): string {
    const chance = this.#chance
    if (depth <= 0 || chance.isLucky(25)) return this.#leaf(scope, type)
    const of = (one: ColumnType): string => this.expression(scope, one, depth - 1)
    if (chance.isLucky(10)) return `CASE WHEN ${this.condition(scope, depth - 1)} THEN ${of(type)} ELSE ${of(type)} END`
    if (chance.isLucky(8)) return `${chance.pick(['coalesce', 'ifnull'])}(${of(type)}, ${of(type)})`
    if (scope.isKept === undefined && chance.isLucky(8)) return this.#subquery(scope, type, depth - 1)
    switch (type) {
      case 'integer':
        return this.#integer(of, scope)
      case 'text':
        return this.#text(of, scope)
      case 'real':
        return chance.pick([`(${of('real')} ${chance.pick(['+', '-', '*'])} ${this.#leaf(scope, 'real')})`, `round(${of('real')}, 3)`, `CAST(${of('integer')} AS REAL)`, `sqrt(abs(${of('real')}))`]) // prettier-ignore
      case 'any':
        return chance.pick([of('integer'), of('text'), of('real')])
    }
  }

  condition(scope: Scope, depth = 1): string {
    const chance = this.#chance
    const of = (type: ColumnType): string => this.expression(scope, type, depth - 1)
    const simple = chance.pick([
      () => `${of('integer')} ${chance.pick(['<', '<=', '=', '<>', '>', 'IS', 'IS NOT'])} ${of('integer')}`,
      () => `${of('text')} ${chance.pick(['<', '=', '>', 'LIKE', 'GLOB', 'IS NOT DISTINCT FROM'])} ${of('text')}`,
      () => `${of('any')} IS ${chance.maybe(50, () => 'NOT ')}NULL`,
      () => `${of('integer')} ${chance.maybe(30, () => 'NOT ')}BETWEEN ${of('integer')} AND ${of('integer')}`,
      () => `${of('any')} ${chance.maybe(30, () => 'NOT ')}IN (${chance.some(1, 3, () => of('any')).join(', ')})`,
      () => `typeof(${of('any')}) = ${chance.pick(["'integer'", "'text'", "'null'"])}`,
    ])()
    if (depth <= 0 || chance.isLucky(60)) return simple
    return `(${simple} ${chance.pick(['AND', 'OR'])} ${chance.maybe(20, () => 'NOT ')}(${this.condition(scope, depth - 1)}))`
  }

  #leaf(scope: Scope, type: ColumnType): string {
    const chance = this.#chance
    const columns = scope.columns.filter(([, one]) => one === type || type === 'any' || one === 'any')
    const column = chance.any(columns)
    if (column !== undefined && chance.isLucky(50)) return column[0]
    if (scope.isKept === undefined && chance.isLucky(30)) return this.#changing(type)
    const value = this.#value(type)
    if (scope.values !== undefined && chance.isLucky(40)) {
      scope.values.push(value)
      return `?${scope.values.length}`
    }
    // As SQL for rqlite has it: a string, or a column that happens to be called so.
    if (typeof value === 'string' && chance.isLucky(15)) return quotedName(chance.isLucky(80) ? value : 'key')
    return literal(value)
  }

  /** What SQLite would give another value each time. */
  #changing(type: ColumnType): string {
    const chance = this.#chance
    switch (type) {
      case 'integer':
        return chance.pick(['random()', 'abs(random() % 100)', "unixepoch('now')", 'unixepoch()', 'changes()', 'total_changes()', 'last_insert_rowid()', "CAST(strftime('%s', 'now') AS INTEGER)"]) // prettier-ignore
      case 'text':
        return chance.pick(['CURRENT_TIMESTAMP', 'CURRENT_DATE', 'CURRENT_TIME', "datetime('now', '-1 day')", "date('now', 'start of month', 'localtime')", 'hex(randomblob(8))', "strftime('%Y-%m', 'now')", "time('now', 'utc')", "timediff('now', '2020-01-01')", "datetime('subsec')"]) // prettier-ignore
      case 'real':
        return chance.pick(["julianday('now')", 'julianday()', "unixepoch('subsec')"])
      case 'any':
        return chance.pick(['randomblob(4)', 'random()', 'CURRENT_TIMESTAMP'])
    }
  }

  #value(type: ColumnType): SqlValue {
    const chance = this.#chance
    if (chance.isLucky(5)) return null
    switch (type) {
      case 'integer':
        return BigInt(chance.isLucky(90) ? chance.below(12) : chance.pick([-1, 2 ** 31, 2 ** 53 - 1]))
      case 'text':
        return chance.pick(['a', 'b c', 'red', 'Blue', '', "it's", 'now', '2026-01-02', '12:30', 'localtime', 'ß€😀', '{"a":1}'])
      case 'real':
        return chance.pick([0.5, -1.25, 2e10, 1 / 3])
      case 'any':
        return chance.pick<SqlValue>([1n, 'x', 0.25, new Uint8Array([1, 2, 255]), null])
    }
  }

  #integer(of: (type: ColumnType) => string, scope: Scope): string {
    const chance = this.#chance
    return chance.pick([
      () => `(${of('integer')} ${chance.pick(['+', '-', '&', '|', '%'])} ${chance.below(20)})`,
      () => `abs(${of('integer')} % 1000)`,
      () => `length(${of('text')})`,
      () => `instr(${of('text')}, ${of('text')})`,
      () => `unicode(${of('text')} || 'x')`,
      () => `min(${of('integer')}, ${of('integer')})`,
      () => `unixepoch(${this.#date(scope)}, '+1 hour')`,
      () => `(${of('integer')} IS ${of('integer')})`,
      () => `json_extract('{"a":' || abs(${of('integer')} % 9) || '}', '$.a')`,
    ])()
  }

  #text(of: (type: ColumnType) => string, scope: Scope): string {
    const chance = this.#chance
    return chance.pick([
      () => `substr(${of('text')} || ${of('text')}, 1, 20)`,
      () => `${chance.pick(['upper', 'lower', 'trim', 'hex', 'quote'])}(${of('text')})`,
      () => `replace(${of('text')}, 'a', 'b')`,
      () => `printf('%d-%s', ${of('integer')}, ${of('text')})`,
      () => `${chance.pick(['date', 'time', 'datetime'])}(${this.#date(scope)}, '${chance.pick(['+', '-'])}${chance.below(9)} days')`,
      () => `strftime('%Y/%j', ${this.#date(scope)})`,
      () => `CAST(${of('integer')} AS TEXT)`,
      () => `json_quote(${of('text')})`,
    ])()
  }

  /** A column, or a literal that is a date. */
  #date(scope: Scope): string {
    const column = this.#chance.any(scope.columns.filter(([, type]) => type === 'text'))
    return column !== undefined && this.#chance.isLucky(60) ? column[0] : "'2026-02-03 04:05:06'"
  }

  #subquery(scope: Scope, type: ColumnType, depth: number): string {
    const table = this.#chance.any(scope.tables.filter(({ kind }) => kind === 'table'))
    if (table === undefined) return this.#leaf(scope, type)
    const inner: Scope = { ...scope, columns: table.columns.map(({ name, type: one }) => [`s.${quotedName(name)}`, one]) }
    const what = this.#chance.pick([`max(${this.expression(inner, type, depth - 1)})`, this.expression(inner, type, depth - 1)])
    return `(SELECT ${what} FROM ${quotedName(table.name)} AS s WHERE ${this.condition(inner, 0)} LIMIT 1)`
  }
}

function literal(value: SqlValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`
  if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString('hex')}'`
  return String(value)
}
