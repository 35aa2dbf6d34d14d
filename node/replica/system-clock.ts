// The clock of production: monotonic time from the process, turns of Node's event loop.
import type { Clock } from './clock.ts'

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  every: (intervalMs, callback) => {
    const timer = setInterval(callback, intervalMs)
    return () => clearInterval(timer)
  },
  // After the I/O events that have already arrived: all of them go into the same turn.
  soon: (callback) => void setImmediate(callback),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
