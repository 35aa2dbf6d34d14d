// Cuts a byte stream into JSON lines without joining what has arrived again and again: a watch of large objects would cost quadratic time.
const newline = 10

/** One line of a watch is one object; etcd takes no object above 1.5 MB, and a Status is small. */
const lineBytesMax = 8 * 1024 * 1024

export class JsonLines {
  #parts: Buffer[] = []
  #bytes = 0

  /** The values of all lines that `chunk` completes. Throws SyntaxError on a line that is no JSON, RangeError on one without end. */
  take(chunk: Buffer): readonly unknown[] {
    const values: unknown[] = []
    let rest = chunk
    for (let at = rest.indexOf(newline); at >= 0; at = rest.indexOf(newline)) {
      const line = Buffer.concat([...this.#parts, rest.subarray(0, at)]).toString('utf8')
      this.#parts = []
      this.#bytes = 0
      rest = rest.subarray(at + 1)
      if (line.trim() !== '') values.push(JSON.parse(line))
    }
    this.#keep(rest)
    return values
  }

  #keep(rest: Buffer): void {
    if (rest.length === 0) return
    this.#bytes += rest.length
    if (this.#bytes > lineBytesMax) throw new RangeError(`a line of more than ${lineBytesMax} bytes`)
    this.#parts.push(rest)
  }
}
