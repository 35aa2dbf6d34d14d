// The thread of self-watch.ts. Synchronous throughout: nothing that the main thread does can keep it from looking.
import process from 'node:process'
import { workerData } from 'node:worker_threads'
import type { SelfWatchSetting } from './self-watch.ts'

/** SQLite fills memory at about a gigabyte a second at most: so often it has taken some tens of megabytes more. */
const intervalMs = 20

const { bytesMax, parentPid, isBusy } = workerData as SelfWatchSetting // handed over by SelfWatch

for (;;) {
  Atomics.wait(isBusy, 0, 0)
  // Nothing handles this signal, so it ends the process as surely as the other one; the node tells them apart.
  if (process.memoryUsage.rss() > bytesMax) process.kill(process.pid, 'SIGUSR2')
  if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL')
  Atomics.wait(isBusy, 0, 1, intervalMs)
}
