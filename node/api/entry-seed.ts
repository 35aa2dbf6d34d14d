// The seeds of entries that this node proposes. Drawn from the system in blocks: to ask it for each costs several times what it takes to encode the entry.
import { randomFillSync } from 'node:crypto'
import { seedBytes } from '../command/entry-moment.ts'

const block = new Uint8Array(256 * seedBytes)
let used = block.length

/** `seedBytes` random ones that nobody has been given before; they belong to the caller. */
export function drawSeed(): Uint8Array {
  if (used === block.length) {
    randomFillSync(block)
    used = 0
  }
  const seed = block.slice(used, used + seedBytes)
  block.fill(0, used, used + seedBytes)
  used += seedBytes
  return seed
}
