// Work that has time must not take the processor from the thread that answers.
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { basename } from 'node:path'

const niceness = 10

/** Puts the calling thread behind all others. Only Linux knows a priority of threads, and tells a thread its id; elsewhere nothing happens. */
export function stepBehind(): void {
  let thread: string
  try {
    thread = readlinkSync('/proc/thread-self')
  } catch {
    return // another system, or no /proc
  }
  setPriority(Number(basename(thread)), niceness)
}
