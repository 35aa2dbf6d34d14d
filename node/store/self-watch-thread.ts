// The thread of self-watch.ts. Synchronous throughout: nothing that the main thread does can keep it from looking.
import process from 'node:process'
import { workerData } from 'node:worker_threads'
import type { SelfWatchSetting } from './self-watch.ts'

/** SQLite fills memory at about a gigabyte a second at most: so often it has taken some tens of megabytes more. */
const intervalMs = 20

const { bytesMax, parentPid, work } = workerData as SelfWatchSetting // handed over by SelfWatch

for (;;) {
  Atomics.wait(work, 0, 0)
  const begun = Atomics.load(work, 0)
  const begunAtMs = processorMs()
  while (isStill(begun)) {
    const processorMsMax = Atomics.load(work, 1)
    // Nothing handles these signals, so they end the process as surely as the third one; the node tells them apart.
    if (process.memoryUsage.rss() > bytesMax) process.kill(process.pid, 'SIGUSR2')
    if (processorMsMax > 0 && processorMs() - begunAtMs > processorMsMax) process.kill(process.pid, 'SIGVTALRM')
    if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL')
    Atomics.wait(work, 0, begun, intervalMs)
  }
}

function isStill(begun: number): boolean {
  return begun !== 0 && Atomics.load(work, 0) === begun
}

/** Of all threads of the process. */
function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
