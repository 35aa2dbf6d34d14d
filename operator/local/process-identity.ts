// Which process is meant by a number: process ids are used again, so a process is its id and the time it started. Killing by a bare id from a file of yesterday could
// end anything.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface ProcessIdentity {
  readonly pid: number
  /** Opaque; differs for another process with the same id. */
  readonly started: string
}

/** Undefined when there is no such process, or only its zombie. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const started = process.platform === 'linux' ? fromProc(pid) : fromPs(pid)
  return started === undefined ? undefined : { pid, started }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identityOf(identity.pid)?.started === identity.started
}

/** Sends `signal` to the whole group that the process leads. `false` when it is gone. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ESRCH') return false
    throw cause
  }
}

/** Linux: fields 3 (state) and 22 (start time in clock ticks since boot) of /proc/PID/stat; the name in field 2 may hold spaces and parentheses. */
function fromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined // no such process
  }
}

function fromPs(pid: number): string | undefined {
  // It prints nothing when there is no such process.
  const text = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()
  return text === '' || text.startsWith('Z') ? undefined : text.replace(/^\S+\s+/, '')
}
