// Turns what happens between nodes into log lines and counters, both from the one union of events. Whoever can reach the Raft port can make refusals happen, as many as it
// likes: they are all counted, but of each code at most one line a second is written, with the number of those left out.
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import type { Clock } from '../replica/clock.ts'
import { helloRefusals } from './hello.ts'
import { listenerRefusals, type PeerEvent } from './peer-event.ts'

const kinds = [
  'connected',
  'disconnected',
  'refused-incoming',
  'dial-failed',
  'malformed',
  'message-dropped',
  'snapshot-busy',
  'vouched',
  'certificates-changed',
  'certificates-unusable',
  'shared-certificate',
  'node-joined',
  'node-left',
  'join-refused',
  'formation',
] as const satisfies readonly PeerEvent['kind'][]

const refusalCodes = [...helloRefusals, ...listenerRefusals] as const
const refusalLineMs = 1_000
/** Why connections end when nothing is wrong: we close, or one replaces another. */
const ordinaryEnds: ReadonlySet<string> = new Set(['closing', 'link_closed', 'renewed', 'goodbye', 'replaced', 'no_member_any_more'])

export function peerReports(options: {
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clock: Clock
}): (event: PeerEvent) => void {
  const { metrics, clock } = options
  const log = options.logger.child({ part: 'peer' })
  const counter = metrics.counter({
    name: 'securesql_peer_events_total',
    help: 'What happened between nodes, by kind.',
    labels: { kind: kinds },
  })
  const refusals = metrics.counter({
    name: 'securesql_peer_refusals_total',
    help: 'Connections to the Raft port that were refused, by code.',
    labels: { code: refusalCodes },
  })
  const written = new Map<string, { readonly atMs: number; leftOut: number }>()
  return (event) => {
    counter.add({ kind: event.kind })
    if (event.kind !== 'refused-incoming') return write(log, event)
    refusals.add({ code: event.code })
    const last = written.get(event.code)
    if (last !== undefined && clock.monotonicMs() - last.atMs < refusalLineMs) return void (last.leftOut += 1)
    written.set(event.code, { atMs: clock.monotonicMs(), leftOut: 0 })
    return write(last === undefined ? log : log.child({ leftOut: last.leftOut }), event)
  }
}

function write(log: Logger, event: PeerEvent): void {
  const { kind, ...facts } = event
  // A connection for snapshots ends when nothing more is asked.
  if (event.kind === 'disconnected' && (event.purpose === 'snapshot' || ordinaryEnds.has(event.why)))
    return log.info(facts, messages.disconnected)
  switch (kind) {
    case 'connected':
    case 'vouched':
    case 'certificates-changed':
    case 'node-joined':
    case 'node-left':
    case 'formation':
      return log.info(facts, messages[kind])
    case 'disconnected':
    case 'refused-incoming':
    case 'malformed':
    case 'certificates-unusable':
    case 'join-refused':
      return log.warn(facts, messages[kind])
    case 'shared-certificate':
      return log.warn(
        'all nodes show the same certificate: its key makes anyone any node, and only node id and incarnation tell members apart; give each node its own',
      )
    // Every heartbeat to a member that is away would be a line.
    case 'dial-failed':
    case 'message-dropped':
    case 'snapshot-busy':
      return log.debug(facts, messages[kind])
  }
}

const messages = {
  connected: 'member connected',
  disconnected: 'member disconnected',
  'refused-incoming': 'connection to the raft port refused',
  'dial-failed': 'member not reached',
  malformed: 'malformed frame from a member',
  'message-dropped': 'message to a member dropped',
  'snapshot-busy': 'member asked for a snapshot while others are served',
  vouched: 'member vouched for by another',
  'certificates-changed': 'certificates changed',
  'certificates-unusable': 'certificates cannot be used',
  'node-joined': 'node joined',
  'node-left': 'node left the cluster, as it asked',
  'join-refused': 'join refused',
  formation: 'forming a cluster',
} as const
