// Texts whose preparation alone may take any time. SQLite writes a view out wherever it is named, so views of views grow by doubling: fourteen levels took two seconds to
// prepare, twenty would take hours. Counted here, from the schema's own texts, before anything is prepared where it cannot be ended.
import type Database from 'better-sqlite3'

/** How many views, written out, a text may come to: well below a millisecond. */
const weightMax = 64
/**
 * A schema with a view that comes to more is refused: SQLite prepares every view to list tables, which the guards of writes do after each change of the schema. That takes about
 * 0.1 s here, and grows with the third power. From a depth of 1,000 on whether it is taken at all depends on which views the connection knows already.
 */
export const viewWeightMax = 512
/** They prepare every view there is. */
const listing = /table_(?:list|x?info)/i
/** Longer texts are bulk loads, or attacks on the parser. */
const textLengthMax = 64 * 1024

export class HeavyNames {
  readonly #schema: Database.Statement
  #weights: ReadonlyMap<string, number> = new Map()
  #isAll = false
  #hasHeavy = false

  constructor(database: Database.Database) {
    this.#schema = database.prepare("SELECT type, name, sql FROM sqlite_schema WHERE type IN ('view', 'trigger')").raw(true)
  }

  /** Whenever the schema has changed. */
  follow(): void {
    const texts = this.#schema.all() as [type: string, name: string, sql: string][] // three TEXT columns
    const views = new Map(texts.flatMap(([type, name, sql]) => (type === 'view' ? [[name.toLowerCase(), sql]] : [])))
    this.#weights = weightsOf(views)
    this.#hasHeavy = [...this.#weights.values()].some((weight) => weight > weightMax)
    // A name that is no plain word could stand in a text in more than one way.
    const hasOdd = [...views.keys()].some((name) => !/^[a-z_\u0080-\uffff][\w$\u0080-\uffff]*$/.test(name))
    const triggers = texts.filter(([type]) => type === 'trigger')
    this.#isAll =
      (hasOdd && [...this.#weights.values()].some((weight) => weight > 1)) || triggers.some(([, , sql]) => this.#weightOf(sql) > weightMax)
  }

  /** Some view comes to more than any may. */
  get isTooHeavy(): boolean {
    return [...this.#weights.values()].some((weight) => weight > viewWeightMax)
  }

  mayBeIn(text: string): boolean {
    return (
      (this.#hasHeavy && listing.test(text)) ||
      this.#isAll ||
      text.length > textLengthMax ||
      (this.#weights.size > 0 && this.#weightOf(text) > weightMax)
    )
  }

  #weightOf(text: string): number {
    return namesIn(text).reduce((sum, name) => sum + (this.#weights.get(name) ?? 0), 0)
  }
}

/** A view counts as often as it selects, because SQLite takes subqueries apart in the same way, and each view that its text names as often as it does. Views that name one another in a circle cannot be prepared at all. */
function weightsOf(views: ReadonlyMap<string, string>): ReadonlyMap<string, number> {
  const weights = new Map<string, number>()
  const weigh = (name: string, sql: string): number => {
    const known = weights.get(name)
    if (known !== undefined) return known
    weights.set(name, 1) // its own name stands in its text
    const names = namesIn(sql)
    let weight = Math.max(1, names.filter((word) => word === 'select').length)
    for (const other of names) {
      const text = views.get(other)
      if (text !== undefined && other !== name) weight += weigh(other, text)
    }
    weights.set(name, weight)
    return weight
  }
  for (const [name, sql] of views) weigh(name, sql)
  return weights
}

/** Words, quoted or not. */
function namesIn(text: string): readonly string[] {
  return text.toLowerCase().match(/[a-z_\u0080-\uffff][\w$\u0080-\uffff]*/g) ?? []
}
