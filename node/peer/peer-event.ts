// What happens between nodes, as one closed union: logs and metrics are both made from it. Nothing here is secret: no incarnation, no password, no key.
import type { NodeId } from '../raft/membership.ts'
import type { TlsFilesProblem } from '../../runtime/tls-files.ts'
import type { DialProblem } from './peer-dialer.ts'
import type { HelloRefusal, Purpose } from './hello.ts'
import type { JoinProblemCode } from './join-words.ts'

/** Why an incoming connection was not let in, besides the refusals of the hello. */
export const listenerRefusals = [
  'too_many_connections',
  'too_many_strangers',
  'tls_refused',
  'hello_late',
  'hello_malformed',
  'join_denied',
] as const
export type ListenerRefusal = (typeof listenerRefusals)[number]

export type PeerEvent =
  | { readonly kind: 'connected'; readonly id: NodeId; readonly purpose: Purpose; readonly direction: 'incoming' | 'outgoing' }
  | {
      readonly kind: 'disconnected'
      readonly id: NodeId
      readonly purpose: Purpose
      readonly direction: 'incoming' | 'outgoing'
      readonly why: string
    }
  /** `nodeId`: what the caller said it is, when it got so far. */
  | {
      readonly kind: 'refused-incoming'
      readonly code: HelloRefusal | ListenerRefusal
      readonly remoteAddress: string
      readonly nodeId: string | undefined
      readonly detail: string | undefined
    }
  | { readonly kind: 'dial-failed'; readonly id: NodeId; readonly purpose: Purpose; readonly problem: DialProblem }
  /** A frame of a member that no correct member sends; its connection was closed. */
  | { readonly kind: 'malformed'; readonly id: NodeId; readonly defect: string }
  | { readonly kind: 'message-dropped'; readonly id: NodeId }
  /** A member asked for a snapshot while as many are served as may be; it will ask again. */
  | { readonly kind: 'snapshot-busy'; readonly id: NodeId }
  | { readonly kind: 'vouched'; readonly id: NodeId; readonly by: NodeId }
  | { readonly kind: 'certificates-changed' }
  | { readonly kind: 'certificates-unusable'; readonly problem: TlsFilesProblem }
  /** All nodes show the same certificate: then it proves less, see the room's README. */
  | { readonly kind: 'shared-certificate' }
  | { readonly kind: 'node-joined'; readonly id: NodeId; readonly remoteAddress: string }
  | { readonly kind: 'node-left'; readonly id: NodeId; readonly remoteAddress: string }
  | { readonly kind: 'join-refused'; readonly id: NodeId; readonly code: JoinProblemCode; readonly remoteAddress: string }
  | { readonly kind: 'formation'; readonly state: string; readonly detail: string }
