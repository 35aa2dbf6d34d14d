// Ends what a test run has started, even when the run itself is killed with SIGKILL and can clean up nothing: it learns of each process and folder through its
// standard input, and the end of that input means that the run is over. A process of its own, because nothing inside of a killed process runs any more.
import { rmSync } from 'node:fs'
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
for (const group of groups) {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // ESRCH: it had ended already.
  }
}
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
