// Ends what a test run has started, even when the run itself is killed with SIGKILL and can clean up nothing: it learns of each process and folder through its
// standard input, and the end of that input means that the run is over. A process of its own, because nothing inside of a killed process runs any more.
import { readFileSync, readdirSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** What the run tells, one JSON object a line. A process is the leader of its own group. */
export type ReaperNotice = { readonly started: number } | { readonly ended: number } | { readonly folder: string }

const groups = new Set<number>()
const folders = new Set<string>()

for await (const line of createInterface({ input: process.stdin })) {
  const notice = JSON.parse(line) as ReaperNotice
  if ('started' in notice) groups.add(notice.started)
  else if ('ended' in notice) groups.delete(notice.ended)
  else folders.add(notice.folder)
}
for (const group of groups) kill(-group)
for (const folder of folders) {
  // Programs that a killed suite had started by itself (members of a cluster): their arguments name files of the folder, whose name is ours alone.
  for (const pid of processesNaming(folder)) kill(pid)
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
}

function kill(target: number): void {
  try {
    process.kill(target, 'SIGKILL')
  } catch {
    // ESRCH: it had ended already.
  }
}

/** Linux only; elsewhere there is no /proc and nothing is found. */
function processesNaming(folder: string): readonly number[] {
  const pids = pidsOfThisMachine()
  return pids.filter((pid) => {
    try {
      return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder)
    } catch {
      return false // it has ended since
    }
  })
}

function pidsOfThisMachine(): readonly number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger)
  } catch {
    return []
  }
}
