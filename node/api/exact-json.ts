// JSON in which numbers keep what they were written as: integers all their 64 bits, and 1.0 stays a REAL. JSON.parse tells a reviver how a number was written, but calls it for
// each value: a body of four million small numbers with one `1.0` among them took six seconds, in which nothing else was done.
import { parse } from 'lossless-json'

/** A number that is written as a REAL, or too long for an INTEGER, but whole. */
export class Real {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/**
 * What JSON.parse gives, but of numbers: an integer beyond 2^53 that has 64 bits is a bigint; a whole number that is written otherwise, or has more bits, is a `Real`. Throws a
 * SyntaxError where JSON.parse does, and a RangeError where lists stand within lists beyond all measure.
 */
export function parseExactJson(text: string): unknown {
  return parse(text, undefined, { parseNumber: exact, onDuplicateKey: ({ newValue }) => newValue })
}

function exact(written: string): number | bigint | Real {
  const value = Number(written)
  if (!Number.isInteger(value)) return value
  if (!/^-?\d+$/.test(written)) return new Real(value)
  if (Number.isSafeInteger(value)) return value
  const integer = BigInt(written)
  return BigInt.asIntN(64, integer) === integer ? integer : new Real(value)
}
