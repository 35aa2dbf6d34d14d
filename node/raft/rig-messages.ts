// For tests: messages of a leader and of its followers in which only what the test is about is said.
import type { Message } from './message.ts'

export type Append = Extract<Message, { kind: 'append' }>
export type AppendReply = Extract<Message, { kind: 'append-reply' }>

/** By default the heartbeat of a leader of term 1 whose log is empty. */
export function append(fields: Partial<Append> = {}): Append {
  return {
    kind: 'append',
    term: 1,
    prevLogIndex: 0,
    prevLogTerm: 0,
    leaderCommit: 0,
    readSequence: 0,
    appendNumber: 1,
    entries: [],
    ...fields,
  }
}

/** By default accepted, with nothing in the log, by a sound disk; an answer to the newest append, whichever that was. */
export function appendReply(fields: Partial<AppendReply> = {}): AppendReply {
  return {
    kind: 'append-reply',
    term: 1,
    accepted: true,
    matchIndex: 0,
    hintIndex: 0,
    hintTerm: 0,
    readSequence: 0,
    appendNumber: Number.MAX_SAFE_INTEGER,
    trusted: true,
    ...fields,
  }
}
