// The chance of an entry: a stream of bytes for each of its statements, from the entry's seed. AES in counter mode, so that values that a client has seen tell nothing
// about others: random() and randomblob() are used for tokens. A stream depends on seed and place alone, so a statement that is run again gets the same.
import { createCipheriv } from 'node:crypto'
import { seedBytes, type EntryMoment } from '../command/entry-moment.ts'

/** Taken from the cipher at once: each call of it costs more than some bytes do. */
const chunkBytes = 1_024

export class EntryChance {
  #seed: Uint8Array = new Uint8Array(seedBytes)
  #statement = 0
  #piece = 0
  /** Made when somebody asks for chance: few statements do. */
  #cipher: ReturnType<typeof createCipheriv> | undefined
  #chunk: Buffer = Buffer.alloc(0)
  #used = 0

  beginEntry({ seed }: EntryMoment): void {
    this.#seed = seed
    this.beginPiece(0, 0)
  }

  /** Of the entry: which statement, and which piece of its text. */
  beginPiece(statement: number, piece: number): void {
    this.#statement = statement
    this.#piece = piece
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
    this.#cipher ??= this.#makeCipher()
    return this.#cipher.update(Buffer.alloc(count))
  }

  #makeCipher(): ReturnType<typeof createCipheriv> {
    const key = Buffer.alloc(32)
    key.set(this.#seed.subarray(0, seedBytes))
    const place = Buffer.alloc(16)
    place.writeUInt32BE(this.#statement, 0)
    place.writeUInt32BE(this.#piece, 4)
    return createCipheriv('aes-256-ctr', key, place)
  }
}
