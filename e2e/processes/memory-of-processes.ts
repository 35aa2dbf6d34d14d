// Resident memory of processes, from /proc (Linux).
import { readFileSync } from 'node:fs'

/** Bytes; undefined when the process is gone. */
export function residentBytes(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined // it has just ended
  }
}

/** Looks every so often until it is stopped, and remembers the most for each name. */
export class MemoryWatch {
  readonly #most = new Map<string, number>()
  readonly #timer: NodeJS.Timeout

  constructor(processes: () => readonly { readonly id: string; readonly pid: number | undefined }[]) {
    this.#timer = setInterval(() => {
      for (const { id, pid } of processes()) {
        const bytes = pid === undefined ? undefined : residentBytes(pid)
        if (bytes !== undefined) this.#most.set(id, Math.max(bytes, this.#most.get(id) ?? 0))
      }
    }, 100)
  }

  stop(): ReadonlyMap<string, number> {
    clearInterval(this.#timer)
    return this.#most
  }
}
