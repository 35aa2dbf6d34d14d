// JSON in which numbers keep what they were written as: integers all their 64 bits, and 1.0 stays a REAL. JSON.parse tells a reviver how a number was written, but calls it for
// each value: a body of four million small numbers with one `1.0` among them took ten seconds, in which nothing else was done.

/** A number that is written as a REAL, or too long for an INTEGER, but whole. */
export class Real {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** Deeper than anything that a request can mean. */
const depthMax = 500

/**
 * What JSON.parse gives, but of numbers: an integer beyond 2^53 that has 64 bits is a bigint; a whole number that is written otherwise, or has more bits, is a `Real`. Throws a
 * SyntaxError where JSON.parse does, and where lists stand within lists beyond all measure.
 */
export function parseExactJson(text: string): unknown {
  return new ExactJson(text).whole()
}

const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
/** Digits that are a safe integer whatever they are. */
const plainDigitsMax = 15

class ExactJson {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): unknown {
    const value = this.#value(0)
    if (this.#next() !== '') throw unexpected()
    return value
  }

  /** Behind white space; '' at the end. */
  #next(): string {
    for (; this.#at < this.#text.length; this.#at += 1) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) break
    }
    return this.#text[this.#at] ?? ''
  }

  #value(depth: number): unknown {
    if (depth > depthMax) throw unexpected()
    switch (this.#next()) {
      case '"':
        return this.#string()
      case '[':
        return this.#list(depth)
      case '{':
        return this.#object(depth)
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #list(depth: number): readonly unknown[] {
    const values: unknown[] = []
    this.#at += 1
    if (this.#next() === ']') return this.#closed(values)
    for (;;) {
      values.push(this.#value(depth + 1))
      const sign = this.#next()
      if (sign === ']') return this.#closed(values)
      if (sign !== ',') throw unexpected()
      this.#at += 1
    }
  }

  #object(depth: number): object {
    const fields: [string, unknown][] = []
    this.#at += 1
    if (this.#next() === '}') return this.#closed({})
    for (;;) {
      if (this.#next() !== '"') throw unexpected()
      const name = this.#string()
      if (this.#next() !== ':') throw unexpected()
      this.#at += 1
      fields.push([name, this.#value(depth + 1)])
      const sign = this.#next()
      // Like JSON.parse it makes a field of any name, __proto__ too.
      if (sign === '}') return this.#closed(Object.fromEntries(fields))
      if (sign !== ',') throw unexpected()
      this.#at += 1
    }
  }

  #closed<Value>(value: Value): Value {
    this.#at += 1
    return value
  }

  #word<Value>(word: string, value: Value): Value {
    if (!this.#text.startsWith(word, this.#at)) throw unexpected()
    this.#at += word.length
    return value
  }

  #string(): string {
    const from = this.#at
    let close = this.#text.indexOf('"', from + 1)
    while (close !== -1 && this.#isEscaped(close)) close = this.#text.indexOf('"', close + 1)
    if (close === -1) throw unexpected()
    this.#at = close + 1
    const inner = this.#text.slice(from + 1, close)
    if (isAsItStands(inner)) return inner
    const value: unknown = JSON.parse(this.#text.slice(from, close + 1))
    if (typeof value !== 'string') throw unexpected()
    return value
  }

  /** Behind an odd number of backslashes. */
  #isEscaped(at: number): boolean {
    let first = at
    while (this.#text.charCodeAt(first - 1) === 0x5c) first -= 1
    return (at - first) % 2 === 1
  }

  #number(): unknown {
    const from = this.#at
    let end = from
    let plain = 0
    for (; end < this.#text.length; end += 1) {
      const code = this.#text.charCodeAt(end)
      if (code < 0x30 || code > 0x39) break
      plain = plain * 10 + code - 0x30
    }
    const behind = this.#text.charCodeAt(end)
    const isPlain = end > from && end - from <= plainDigitsMax && behind !== 0x2e && behind !== 0x65 && behind !== 0x45
    if (isPlain && (end === from + 1 || this.#text.charCodeAt(from) !== 0x30)) {
      this.#at = end
      return plain
    }
    numberPattern.lastIndex = from
    const written = numberPattern.exec(this.#text)?.[0] ?? ''
    if (written === '') throw unexpected()
    this.#at = from + written.length
    return exact(written)
  }
}

function exact(written: string): number | bigint | Real {
  const value = Number(written)
  if (!Number.isInteger(value)) return value
  if (!/^-?\d+$/.test(written)) return new Real(value)
  if (Number.isSafeInteger(value)) return value
  const integer = BigInt(written)
  return BigInt.asIntN(64, integer) === integer ? integer : new Real(value)
}

function unexpected(): SyntaxError {
  return new SyntaxError('not JSON')
}

/** Without escapes, and without what may not stand in a string, of which JSON.parse complains. */
function isAsItStands(inner: string): boolean {
  for (let at = 0; at < inner.length; at += 1) {
    const code = inner.charCodeAt(at)
    if (code < 0x20 || code === 0x5c) return false
  }
  return true
}
