// Raft's messages in bytes: u8 kind | u53 term | the fields in the order of their declaration. Entries travel as the bytes that stand on the leader's disk, so the
// checksum that was made there is checked here. What comes in is judged as a whole: a message is either exactly one that a correct member could send or a defect.
import assert from 'node:assert/strict'
import { entryBytesMax, readEntry, type Entry, type EntryDefect } from '../raft/entry.ts'
import type { Message } from '../raft/message.ts'
import { WireReader, WireWriter, type WireDefect } from './wire-bytes.ts'

export type MessageDefect = WireDefect | EntryDefect | 'message_kind' | 'entries_not_in_order' | 'entry_of_a_later_term'

/** The longest entry and the fields around it; a correct leader cuts its appends far below. */
export const messageBytesMax = entryBytesMax + 4096

// A kind's number is its position counted from 1; never reordered.
const kinds = [
  'pre-vote',
  'pre-vote-reply',
  'vote',
  'vote-reply',
  'append',
  'append-reply',
  'read-index',
  'read-index-reply',
  'timeout-now',
  'install-snapshot',
  'distrust',
] as const satisfies readonly Message['kind'][]

/** In pieces, so that large entries are not copied. */
export function encodeMessage(message: Message): readonly Uint8Array[] {
  const writer = new WireWriter().u8(kinds.indexOf(message.kind) + 1).u53(message.term)
  writeFields(writer, message)
  return writer.parts()
}

function writeFields(writer: WireWriter, message: Message): void {
  switch (message.kind) {
    case 'pre-vote':
      return void writer.u53(message.lastLogIndex).u53(message.lastLogTerm)
    case 'vote':
      return void writer.u53(message.lastLogIndex).u53(message.lastLogTerm).bool(message.transfer)
    case 'pre-vote-reply':
    case 'vote-reply':
      return void writer.bool(message.granted)
    case 'append':
      writer
        .u53(message.prevLogIndex)
        .u53(message.prevLogTerm)
        .u53(message.leaderCommit)
        .u53(message.readSequence)
        .u53(message.appendNumber)
      for (const entry of message.entries) writer.bytes(entry.bytes)
      return
    case 'append-reply':
      writer.bool(message.accepted).u53(message.matchIndex).u53(message.hintIndex).u53(message.hintTerm)
      return void writer.u53(message.readSequence).u53(message.appendNumber).bool(message.trusted)
    case 'read-index':
      return void writer.u53(message.id).bool(message.afterLoss)
    case 'read-index-reply':
      return void writer.u53(message.id).u53(message.index).bool(message.refused)
    case 'install-snapshot':
      return void writer.u53(message.baseIndex).u53(message.baseTerm).u53(message.readSequence).u53(message.appendNumber)
    case 'distrust':
      return void writer.u53(message.acknowledgedIndex)
    case 'timeout-now':
  }
}

/** `body` belongs to the message from now on: entries are views into it. */
export function decodeMessage(body: Uint8Array): Message | MessageDefect {
  const reader = new WireReader(body)
  const kind = reader.oneOf(kinds)
  if (kind === undefined) return reader.defect === 'body_cut' ? 'body_cut' : 'message_kind'
  const message = readFields(reader, kind, reader.u53())
  return typeof message === 'string' ? message : (reader.end() ?? message)
}

function readFields(reader: WireReader, kind: Message['kind'], term: number): Message | MessageDefect {
  switch (kind) {
    case 'pre-vote':
      return { kind, term, lastLogIndex: reader.u53(), lastLogTerm: reader.u53() }
    case 'vote':
      return { kind, term, lastLogIndex: reader.u53(), lastLogTerm: reader.u53(), transfer: reader.bool() }
    case 'pre-vote-reply':
    case 'vote-reply':
      return { kind, term, granted: reader.bool() }
    case 'append':
      return readAppend(reader, term)
    case 'append-reply':
      return {
        kind,
        term,
        accepted: reader.bool(),
        matchIndex: reader.u53(),
        hintIndex: reader.u53(),
        hintTerm: reader.u53(),
        readSequence: reader.u53(),
        appendNumber: reader.u53(),
        trusted: reader.bool(),
      }
    case 'read-index':
      return { kind, term, id: reader.u53(), afterLoss: reader.bool() }
    case 'read-index-reply':
      return { kind, term, id: reader.u53(), index: reader.u53(), refused: reader.bool() }
    case 'install-snapshot':
      return { kind, term, baseIndex: reader.u53(), baseTerm: reader.u53(), readSequence: reader.u53(), appendNumber: reader.u53() }
    case 'distrust':
      return { kind, term, acknowledgedIndex: reader.u53() }
    case 'timeout-now':
      return { kind, term }
  }
}

function readAppend(reader: WireReader, term: number): Message | MessageDefect {
  const prevLogIndex = reader.u53()
  const prevLogTerm = reader.u53()
  const leaderCommit = reader.u53()
  const readSequence = reader.u53()
  const appendNumber = reader.u53()
  const entries = readEntries(reader.rest(), { prevLogIndex, prevLogTerm, term })
  if (typeof entries === 'string') return entries
  return { kind: 'append', term, prevLogIndex, prevLogTerm, leaderCommit, readSequence, appendNumber, entries }
}

/** Log matching (Raft §5.3) rests on entries that follow one another, and terms in a log never fall. */
function readEntries(
  bytes: Uint8Array,
  after: { readonly prevLogIndex: number; readonly prevLogTerm: number; readonly term: number },
): readonly Entry[] | MessageDefect {
  const entries: Entry[] = []
  let { prevLogIndex: lastIndex, prevLogTerm: lastTerm } = after
  for (let at = 0; at < bytes.length;) {
    const entry = readOne(bytes, at)
    if (typeof entry === 'string') return entry
    if (entry.index !== lastIndex + 1 || entry.term < lastTerm) return 'entries_not_in_order'
    if (entry.term > after.term) return 'entry_of_a_later_term'
    entries.push(entry)
    lastIndex = entry.index
    lastTerm = entry.term
    at += entry.bytes.length
  }
  return entries
}

function readOne(bytes: Uint8Array, at: number): Entry | MessageDefect {
  try {
    return readEntry(bytes, at, { owned: true })
  } catch (error) {
    assert(error instanceof RangeError, 'only a number beyond 53 bits is thrown here')
    return 'number_too_large'
  }
}
