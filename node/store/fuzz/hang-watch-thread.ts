// The thread of hang-watch.ts.
import { writeSync } from 'node:fs'
import process from 'node:process'
import { parentPort, workerData } from 'node:worker_threads'

const msMax = workerData as number // handed over by HangWatch
let timer: NodeJS.Timeout | undefined

parentPort?.on('message', (what: string) => {
  clearTimeout(timer)
  timer = setTimeout(() => {
    writeSync(1, `HANG: not over after ${msMax / 1000} s: ${what}\n0 passed, 1 failed\n`)
    // Nothing handles it, so it ends the process wherever its main thread is.
    process.kill(process.pid, 'SIGTERM')
  }, msMax)
})

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
parentPort?.postMessage('listening')
