// One line for each thing that a core decided. Entries are written index/term.
import type { Entry } from '../entry.ts'
import type { Membership } from '../membership.ts'
import type { Message, Parcel } from '../message.ts'
import type { Output, RaftEvent } from '../raft-port.ts'

export function trace(id: string, output: Output): readonly string[] {
  const lines = output.events.map((event) => `${id} ${traceEvent(event)}`)
  if (output.install !== undefined) lines.push(`${id} installs the snapshot ${output.install.index}/${output.install.term}`)
  if (output.persist !== undefined) {
    const { sequence, hardState, entries, reset } = output.persist
    const vote = hardState === undefined ? '' : ` term ${hardState.term} vote ${hardState.votedFor ?? 'none'}`
    const anew = reset === undefined ? '' : ` log anew after ${reset.index}/${reset.term}`
    lines.push(`${id} writes #${sequence}:${vote}${anew}${entries.length > 0 ? ` entries ${traceEntries(entries)}` : ''}`)
  }
  for (const proposed of output.proposed) lines.push(`${id} appended proposal ${proposed.id} at ${proposed.index}/${proposed.term}`)
  for (const refused of output.refused) lines.push(`${id} refuses ${refused.id}: ${refused.code}`)
  for (const read of output.reads) lines.push(`${id} confirms read ${read.id} at ${read.index}`)
  if (output.committed.length > 0) lines.push(`${id} gives out as committed ${traceEntries(output.committed)}`)
  for (const parcel of output.send) lines.push(traceMessage(id, parcel))
  return lines
}

export function traceMessage(from: string, parcel: Parcel): string {
  const { message } = parcel
  return `${from} > ${parcel.to}: ${message.kind} in ${message.term}${traceFields(message)}`
}

function traceFields(message: Message): string {
  switch (message.kind) {
    case 'pre-vote':
      return `, log ends ${message.lastLogIndex}/${message.lastLogTerm}`
    case 'vote':
      return `, log ends ${message.lastLogIndex}/${message.lastLogTerm}${message.transfer ? ', transfer' : ''}`
    case 'pre-vote-reply':
    case 'vote-reply':
      return message.granted ? ', granted' : ', refused'
    case 'append': {
      const entries = message.entries.length > 0 ? `, entries ${traceEntries(message.entries)}` : ''
      const read = message.readSequence > 0 ? `, read ${message.readSequence}` : ''
      return ` after ${message.prevLogIndex}/${message.prevLogTerm}${entries}, commit ${message.leaderCommit}${read}`
    }
    case 'append-reply': {
      const read = message.readSequence > 0 ? `, read ${message.readSequence}` : ''
      const doubt = message.trusted ? '' : ', untrusted'
      if (message.accepted) return `, matches up to ${message.matchIndex}${read}${doubt}`
      return `, nothing fits after ${message.matchIndex}, try ${message.hintIndex}/${message.hintTerm}${read}${doubt}`
    }
    case 'install-snapshot':
      return `, base ${message.baseIndex}/${message.baseTerm}${message.readSequence > 0 ? `, read ${message.readSequence}` : ''}`
    case 'distrust':
      return `, acknowledged ${message.acknowledgedIndex}`
    case 'read-index-reply':
      return message.refused ? ', refused' : `, at ${message.index}`
    // The number of a question differs between lives by design, and says nothing here.
    case 'read-index':
      return message.afterLoss ? ', after a loss' : ''
    case 'timeout-now':
      return ''
  }
}

function traceEvent(event: RaftEvent): string {
  switch (event.kind) {
    case 'became-follower':
      return `follows ${event.leader ?? 'nobody'} in term ${event.term}`
    case 'became-pre-candidate':
      return `asks whether it would win, in term ${event.term}`
    case 'became-candidate':
      return `stands for election in term ${event.term}`
    case 'became-leader':
      return `leads term ${event.term}`
    case 'stepped-down':
      return `steps down from term ${event.term}: ${event.why}`
    case 'membership-changed':
      return `has members ${traceMembers(event.membership)}`
    case 'snapshot-needed':
      return `has no log for ${event.id}: it needs a snapshot`
    case 'member-lost-entries':
      return `sees that ${event.id} has lost entries up to ${event.acknowledgedIndex}`
    case 'trust-changed':
      return `is ${event.trust}`
  }
}

/** Voters, (learners), [read replicas]; and the epoch, if it is not the first. */
export function traceMembers(membership: Membership): string {
  const members = membership.members.map(({ id, suffrage }) => ({ voter: id, learner: `(${id})`, 'non-voter': `[${id}]` })[suffrage])
  return `${members.join(' ')}${membership.epoch === undefined ? '' : `, epoch ${membership.epoch}`}`
}

function traceEntries(entries: readonly Entry[]): string {
  const first = entries[0]
  const last = entries.at(-1)
  if (first === undefined || last === undefined) return 'none'
  const span = entries.map((entry) => `${entry.index}/${entry.term}${entry.kind === 'command' ? '' : ` ${entry.kind}`}`)
  return span.length <= 4 ? span.join(', ') : `${span[0] ?? ''} .. ${span.at(-1) ?? ''}`
}
