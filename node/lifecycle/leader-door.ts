// Port: how the leader proposes what changes the state by itself. Not the replica's own `propose`: what writes cost may be another behind it, so it goes the way of all writes
// (node/api/write-turnstile.ts), which waits for those that were judged before.
import type { Result } from '../../runtime/result.ts'
import type { Applied } from '../replica/state-machine.ts'

export interface LeaderDoor {
  leads(): boolean
  propose(payload: Uint8Array, options: { readonly timeoutMs: number }): Promise<Result<Applied, { readonly code: string }>>
}
