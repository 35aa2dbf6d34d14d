// How many reader processes there may be, and how large. Together they must leave the node itself its memory: where a container is full, all of it is ended, not a reader.
import type { PoolLimits } from './reader-pool.ts'

const mebibyte = 1024 * 1024

export interface Machine {
  /** Processors that this process may use. */
  readonly cores: number
  /** Of the container where there is one, else of the machine. */
  readonly memoryBytes: number
  /** `-db-max-ro-conns` */
  readonly connectionsMax: number
}

/** An idle process takes some 40 MiB that it does not share, so there is one for each 256 MiB; more than two a processor only make each other slower. */
export function readerLimits({ cores, memoryBytes, connectionsMax }: Machine): PoolLimits {
  const inMemory = Math.floor(memoryBytes / (256 * mebibyte))
  return {
    processesMax: Math.max(1, Math.min(connectionsMax, Math.max(2, Math.min(inMemory, 2 * Math.max(2, cores), 16)))),
    growthBytesMax: Math.min(Math.max(memoryBytes / 16, 96 * mebibyte), 256 * mebibyte),
  }
}
