// What this machine can do at all, measured in the same run: the figures of the node mean nothing without them.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeTestCa, makeTestLeaf } from '../node/peer/test-certificates.ts'

const blockBytes = 4096

/** Appends of 4 KiB, each followed by fdatasync, per second; on the disk that the nodes use. */
export function appendsPerSecond(measureMs: number): number {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-probe-'))
  const file = openSync(join(folder, 'log'), 'a', 0o600)
  try {
    const block = Buffer.alloc(blockBytes, 7)
    const beginMs = performance.now()
    let appends = 0
    while (performance.now() - beginMs < measureMs) {
      writeSync(file, block)
      fdatasyncSync(file)
      appends += 1
    }
    return Math.round(appends / ((performance.now() - beginMs) / 1000))
  } finally {
    closeSync(file)
    rmSync(folder, { recursive: true })
  }
}

export interface BareServer {
  readonly port: number
  readonly ca: string
  close(): Promise<void>
}

export async function startBareServer(): Promise<BareServer> {
  const ca = makeTestCa('bench CA')
  const child = fork(join(import.meta.dirname, 'bare-https-server.ts'))
  child.send(makeTestLeaf(ca))
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    ca: ca.certificate,
    close: async () => {
      const gone = once(child, 'exit')
      child.disconnect()
      await gone
    },
  }
}
