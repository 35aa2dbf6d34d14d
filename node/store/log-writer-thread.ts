// The thread that writes the log. It takes everything that waits, writes it as one frame, syncs once, and says up to where the log is durable.
// An error of the disk is told and ends the thread: after a failed fsync nobody knows what is on the disk, and trying again may report success for lost pages.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { DirectoryDisk } from './directory-disk.ts'
import type { WriterOptions, WriterReply, WriterRequest } from './log-writer.ts'
import { SegmentWriter } from './segment-writer.ts'

type WriteRequest = Extract<WriterRequest, { kind: 'write' }>

/** Bytes of entries gathered into one frame; larger frames would only make every waiter wait for the last one's bytes. */
const frameBytesMax = 8 * 1024 * 1024

const port = parentPort
if (port === null) throw new Error('log-writer-thread.ts runs as a worker only')
const options = workerData as WriterOptions // handed over by log-writer.ts
const writer = new SegmentWriter(new DirectoryDisk(options.directory), options)

port.on('message', (first: WriterRequest) => {
  let request: WriterRequest | undefined = first
  try {
    while (request !== undefined) request = request.kind === 'close' ? close() : writeWaiting(request)
  } catch (error) {
    reply({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    port.close()
  }
})

/** Writes `first` and what has arrived behind it; gives back a request that did not belong into the frame. */
function writeWaiting(first: WriteRequest): WriterRequest | undefined {
  const batch = [first]
  let bytes = first.entries.length
  let next: WriterRequest | undefined
  while (bytes < frameBytesMax) {
    next = receive()
    if (next?.kind !== 'write') break
    batch.push(next)
    bytes += next.entries.length
    next = undefined
  }
  const last = batch.at(-1) ?? first
  const entryCount = batch.reduce((sum, request) => sum + request.entryCount, 0)
  const entries = batch.map((request) => request.entries)
  const written = writer.write({ kind: 'persist', hardState: last.hardState, entryCount, entries })
  reply({ kind: 'durable', sequence: last.sequence, ...written })
  return next
}

function close(): undefined {
  writer.write({ kind: 'closed', hardState: writer.end.hardState, entryCount: 0, entries: [] })
  writer.close()
  reply({ kind: 'closed' })
  port?.close()
}

function receive(): WriterRequest | undefined {
  const received: { message: WriterRequest } | undefined = port === null ? undefined : receiveMessageOnPort(port)
  return received?.message
}

function reply(message: WriterReply): void {
  port?.postMessage(message)
}
