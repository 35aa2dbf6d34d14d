// What goes into one frame: everything that waits, so that one fdatasync serves many, as far as it can be told apart again when the log is read back.
import type { CompactRequest, WriteRequest, WriterRequest } from './log-writer.ts'
import type { LogEnd, FrameToWrite } from './segment-writer.ts'

/** Bytes of entries gathered into one frame; larger frames would only make every waiter wait for the last one's bytes. */
const frameBytesMax = 8 * 1024 * 1024

export interface GatheredFrame {
  readonly frame: FrameToWrite
  /** The newest write in it; undefined: it only compacts. */
  readonly sequence: number | undefined
}

/** `next` gives what waits behind `first`, one by one, as long as `mayJoin` agrees; undefined: nothing does. */
export function gatherFrame(
  end: LogEnd,
  first: WriterRequest,
  next: (mayJoin: (request: WriterRequest) => boolean) => WriterRequest | undefined,
): GatheredFrame {
  const isReset = first.kind === 'write' && first.reset !== undefined
  const gathered = [first]
  let bytes = first.kind === 'write' ? first.entries.length : 0
  // A reset forgets what stands before it, so it begins a frame; and a frame has one base, so a compaction does not follow a reset within one.
  const mayJoin = (request: WriterRequest): boolean => (request.kind === 'write' ? request.reset === undefined : !isReset)
  while (bytes < frameBytesMax) {
    const request = next(mayJoin)
    if (request === undefined) break
    gathered.push(request)
    if (request.kind === 'write') bytes += request.entries.length
  }
  const writes = gathered.filter((request): request is WriteRequest => request.kind === 'write')
  const compaction = gathered.findLast((request): request is CompactRequest => request.kind === 'compact')
  const base = first.kind === 'write' && first.reset !== undefined ? first.reset : compaction?.base
  return {
    sequence: writes.at(-1)?.sequence,
    frame: {
      kind: isReset ? 'reset' : writes.length === 0 ? 'compacted' : 'persist',
      hardState: writes.at(-1)?.hardState ?? end.hardState,
      entryCount: writes.reduce((sum, { entryCount }) => sum + entryCount, 0),
      entries: writes.map(({ entries }) => entries),
      indexMax: writes.reduce((max, { indexMax }) => Math.max(max, indexMax), 0),
      ...(base === undefined ? {} : { base }),
      ...(compaction?.givenUp === undefined ? {} : { givenUp: compaction.givenUp }),
    },
  }
}

/** Written at an orderly end. */
export function closingFrame(end: LogEnd): FrameToWrite {
  return { kind: 'closed', hardState: end.hardState, entryCount: 0, entries: [], indexMax: 0 }
}
