// The thread that writes the log. It takes everything that waits, writes it as one frame, syncs once, and says up to where the log is durable.
// An error of the disk is told and ends the thread: after a failed fsync nobody knows what is on the disk, and trying again may report success for lost pages.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { DirectoryDisk } from './directory-disk.ts'
import { closingFrame, gatherFrame } from './frame-gathering.ts'
import type { ThreadOptions, ThreadReply, ThreadRequest } from './log-writer-worker.ts'
import type { WriterRequest } from './log-writer.ts'
import { SegmentWriter, bytesOf } from './segment-writer.ts'
import { failureOf } from './write-failure.ts'

const port = parentPort
if (port === null) throw new Error('log-writer-thread.ts runs as a worker only')
const options = workerData as ThreadOptions // handed over by log-writer-worker.ts
const writer = new SegmentWriter(new DirectoryDisk(options.directory), options)
/** Taken from the port, but it did not belong into the frame. */
let held: ThreadRequest | undefined
/** What had been sent before the port was closed may still be delivered: written now, it would stand where the frame stands that the disk refused. */
let hasFailed = false

port.on('message', (first: ThreadRequest) => {
  if (hasFailed) return
  try {
    held = first
    while (held !== undefined) {
      const request: ThreadRequest = held
      held = undefined
      if (request.kind === 'close') close()
      else write(request)
    }
  } catch (error) {
    hasFailed = true
    const { kind, message } = failureOf(error)
    reply({ kind: 'failed', failure: { kind, message, cause: undefined } })
    port.close()
  }
})

function write(first: WriterRequest): void {
  const { frame, sequence } = gatherFrame(writer.end, first, (mayJoin) => {
    const request = receive()
    if (request !== undefined && request.kind !== 'close' && mayJoin(request)) return request
    held = request
    return undefined
  })
  writer.start(frame)
  const written = writer.finish()
  if (sequence !== undefined) reply({ kind: 'durable', reply: { sequence, ...written, logBytes: bytesOf(writer.end) } })
  if (writer.isTidy) return
  // Behind the answer: nobody waits for a file to be removed.
  writer.tidy()
  reply({ kind: 'tidied', reply: { firstSegment: writer.end.segments[0]?.segment ?? 0, logBytes: bytesOf(writer.end) } })
}

function close(): void {
  writer.write(closingFrame(writer.end))
  writer.close()
  port?.close()
}

function receive(): ThreadRequest | undefined {
  const received: { message: ThreadRequest } | undefined = port === null ? undefined : receiveMessageOnPort(port)
  return received?.message
}

function reply(message: ThreadReply): void {
  port?.postMessage(message)
}
