// The chance of an entry: a stream of bytes for each of its statements, from the entry's seed. AES in counter mode, so that values that a client has seen tell nothing
// about others: random() and randomblob() are used for tokens. A stream depends on seed and place alone, so a statement that is run again gets the same.
import { createCipheriv } from 'node:crypto'
import { seedBytes, type EntryMoment } from '../command/entry-moment.ts'

/** Taken from the cipher at once: each call of it costs more than some bytes do. */
const chunkBytes = 1_024

export class EntryChance {
  readonly #key = Buffer.alloc(32)
  readonly #place = Buffer.alloc(16)
  #cipher: ReturnType<typeof createCipheriv> | undefined
  #chunk: Buffer = Buffer.alloc(0)
  #used = 0

  beginEntry({ seed }: EntryMoment): void {
    this.#key.set(seed.subarray(0, seedBytes))
    this.beginPiece(0, 0)
  }

  /** Of the entry: which statement, and which piece of its text. */
  beginPiece(statement: number, piece: number): void {
    this.#place.writeUInt32BE(statement, 0)
    this.#place.writeUInt32BE(piece, 4)
    this.#cipher = undefined
    this.#used = this.#chunk.length
  }

  /** As SQLite's random(): 64 bits with a sign, never the smallest, so that abs() works. */
  integer(): bigint {
    if (this.#used + 8 > this.#chunk.length) {
      this.#chunk = this.#next(chunkBytes)
      this.#used = 0
    }
    const value = this.#chunk.readBigInt64BE(this.#used)
    this.#used += 8
    return value < 0n ? -(value & 0x7fff_ffff_ffff_ffffn) : value
  }

  bytes(count: number): Buffer {
    return this.#next(count)
  }

  #next(count: number): Buffer {
    this.#cipher ??= createCipheriv('aes-256-ctr', this.#key, this.#place)
    return this.#cipher.update(Buffer.alloc(count))
  }
}
