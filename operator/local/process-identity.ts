// Which process is meant by a number: process ids are used again, so a process is its id and the time it started. Killing by a bare id from a file of yesterday could
// end anything.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

export interface ProcessIdentity {
  readonly pid: number
  /** Opaque; differs for another process with the same id. */
  readonly started: string
}

const run = promisify(execFile)

/** Undefined when there is no such process, or only its zombie. */
export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  const started = (await fromProc(pid)) ?? (process.platform === 'linux' ? undefined : await fromPs(pid))
  return started === undefined ? undefined : { pid, started }
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await identityOf(identity.pid))?.started === identity.started
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
async function fromProc(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields === undefined || fields[0] === 'Z' ? undefined : fields[19]
}

async function fromPs(pid: number): Promise<string | undefined> {
  // ps fails when there is no such process.
  const listed = await run('ps', ['-o', 'stat=,lstart=', '-p', String(pid)]).catch(() => undefined)
  const text = listed?.stdout.trim()
  return text === undefined || text === '' || text.startsWith('Z') ? undefined : text.replace(/^\S+\s+/, '')
}
