// What happened in a run, as one number: two runs of a seed are the same exactly when it is. With a writer, also as lines to read.

export class Trace {
  readonly #write: ((line: string) => void) | undefined
  #hash = 0x811c9dc5
  events = 0

  constructor(write?: (line: string) => void) {
    this.#write = write
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  get isWritten(): boolean {
    return this.#write !== undefined
  }

  number(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193) ^ (this.#hash >>> 15)
  }

  note(atMs: number, who: string, what: string): void {
    const text = `${who} ${what}`
    for (let at = 0; at < text.length; at += 1) this.number(text.charCodeAt(at))
    this.number(Math.round(atMs * 1000))
    this.#write?.(`${atMs.toFixed(3).padStart(11)} ${text}`)
  }

  /** Too frequent to be put into words in every run. */
  often(atMs: number, who: string, what: () => string): void {
    this.number(Math.round(atMs * 1000))
    this.#write?.(`${atMs.toFixed(3).padStart(11)} ${who} ${what()}`)
  }
}
