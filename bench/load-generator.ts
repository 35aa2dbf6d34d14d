// A process of its own: each client sends its next request when the answer to the one before is there. The order comes by message from the parent, the report goes back.
import assert from 'node:assert/strict'
import type { LoadOrder, LoadReport } from './load-order.ts'
import { RawConnection, requestBytes } from './raw-connection.ts'

process.once('message', (order: LoadOrder) => {
  run(order).then(
    (report) => {
      process.send?.(report)
      process.disconnect?.()
    },
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})

// Without it hundreds of clients would keep a cluster that elects a leader from doing so.
const refusedPauseMs = 50

async function run(order: LoadOrder): Promise<LoadReport> {
  const connections = await Promise.all(
    Array.from({ length: order.clients }, (_, client) =>
      RawConnection.open({ port: order.ports[client % order.ports.length] ?? 0, ca: order.ca }),
    ),
  )
  const request = requestBytes(order)
  const beginMs = performance.now() + order.warmUpMs
  const endMs = beginMs + order.measureMs
  const latencies: number[] = []
  const refusals = { count: 0 }
  await Promise.all(connections.map((connection) => keepSending(connection, request, { beginMs, endMs, latencies, refusals })))
  for (const connection of connections) connection.close()
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => Math.round((latencies[Math.floor((latencies.length - 1) * share)] ?? 0) * 100) / 100
  return {
    perSecond: Math.round(latencies.length / (order.measureMs / 1000)),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    requests: latencies.length,
    refused: refusals.count,
  }
}

async function keepSending(
  connection: RawConnection,
  request: Buffer,
  window: { readonly beginMs: number; readonly endMs: number; readonly latencies: number[]; readonly refusals: { count: number } },
): Promise<void> {
  for (;;) {
    const sentMs = performance.now()
    if (sentMs >= window.endMs) return
    const reply = await connection.send(request)
    if (reply.status === 503) {
      window.refusals.count += 1
      await new Promise((resolve) => setTimeout(resolve, refusedPauseMs))
      continue
    }
    // A fast error is no result.
    assert(reply.status === 200 && !reply.body.includes('"error"'), `answered ${reply.status}: ${reply.body.slice(0, 200)}`)
    const nowMs = performance.now()
    if (sentMs >= window.beginMs && nowMs <= window.endMs) window.latencies.push(nowMs - sentMs)
  }
}
