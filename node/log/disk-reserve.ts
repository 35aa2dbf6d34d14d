// A file beside the segments that takes room until the disk is full: given free then, a node can start, say so, follow, and give up old segments.
import type { LogDisk } from './log-disk.ts'
import { isDiskFull } from './write-failure.ts'

const reserveName = 'reserve'

/** False: there is none. */
export function giveReserveFree(disk: LogDisk): boolean {
  if (!disk.names().includes(reserveName)) return false
  disk.remove(reserveName)
  disk.syncDirectory()
  return true
}

/** Only where there is twice as much room: a reserve that takes the last of it would be the reason for what it is there for. */
export function keepReserve(disk: LogDisk, bytes: number): void {
  if (bytes === 0 || disk.names().includes(reserveName)) return
  const file = disk.create(reserveName)
  try {
    // Not a hole: blocks are given to what is written.
    file.write(new Uint8Array(bytes * 2), 0)
    file.truncate(bytes)
  } catch (error) {
    if (!isDiskFull(error)) throw error
    giveReserveFree(disk)
  } finally {
    file.close()
  }
}
