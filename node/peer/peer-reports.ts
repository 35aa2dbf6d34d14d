// Turns what happens between nodes into log lines and counters, both from the one union of events.
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import type { PeerEvent } from './peer-event.ts'

const kinds = [
  'connected',
  'disconnected',
  'refused-incoming',
  'dial-failed',
  'malformed',
  'message-dropped',
  'vouched',
  'certificates-changed',
  'certificates-unusable',
  'shared-certificate',
  'node-joined',
  'join-refused',
  'formation',
] as const satisfies readonly PeerEvent['kind'][]

export function peerReports(options: { readonly logger: Logger; readonly metrics: Metrics }): (event: PeerEvent) => void {
  const log = options.logger.child({ part: 'peer' })
  const counter = options.metrics.counter({
    name: 'securesql_peer_events_total',
    help: 'What happened between nodes, by kind.',
    labels: { kind: kinds },
  })
  return (event) => {
    counter.add({ kind: event.kind })
    write(log, event)
  }
}

function write(log: Logger, event: PeerEvent): void {
  const { kind, ...facts } = event
  switch (kind) {
    case 'connected':
    case 'vouched':
    case 'certificates-changed':
    case 'node-joined':
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
  vouched: 'member vouched for by another',
  'certificates-changed': 'certificates changed',
  'certificates-unusable': 'certificates cannot be used',
  'node-joined': 'node joined',
  'join-refused': 'join refused',
  formation: 'forming a cluster',
} as const
