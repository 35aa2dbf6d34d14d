// What a node answers to those with whom it may form a cluster: who it is, and whether it accepts what is proposed.
import type { Adoption } from './adoption.ts'
import type { Answerer } from './conversation.ts'
import { isConfirmed, judgeProposal } from './formation.ts'
import type { JoinAuthorizer } from './join-authorizer.ts'
import { notifyQuestionSchema, proposeQuestionSchema, type Credentials, type NodeRecord, type NotifyAnswer } from './join-words.ts'
import type { PeerEvent } from './peer-event.ts'
import type { Admitted } from './peer-listener.ts'

export interface FormationServerOptions {
  readonly self: NodeRecord
  readonly expect: number | undefined
  readonly adoption: Adoption
  /** The log is not empty, or the formation has been confirmed since this process started. */
  readonly isRunning: () => boolean
  readonly authorizer: JoinAuthorizer
  readonly onEvent: (event: PeerEvent) => void
}

/** Answers name incarnations, so they are for those alone who may become members. */
async function isAllowed(options: FormationServerOptions, caller: Admitted, credentials: Credentials | undefined): Promise<boolean> {
  if (caller.hasVerifiedCertificate || (await options.authorizer.authorize(credentials, 'join', caller))) return true
  const { remoteAddress, hello } = caller
  options.onEvent({ kind: 'refused-incoming', code: 'join_denied', remoteAddress, nodeId: hello.nodeId, detail: hello.purpose })
  return false
}

export function notifyAnswerer(options: FormationServerOptions): Answerer {
  return async (question, caller): Promise<NotifyAnswer | undefined> => {
    const asked = notifyQuestionSchema.safeParse(question)
    if (!asked.success) return undefined
    if (!(await isAllowed(options, caller, asked.data.credentials))) return { kind: 'denied' }
    const { cluster } = options.adoption
    if (cluster === undefined) return { kind: 'unformed', record: options.self }
    if (options.isRunning() || isConfirmed(cluster, options.self.id, false)) return { kind: 'running', clusterId: cluster.clusterId }
    return { kind: 'adopted', record: options.self, clusterId: cluster.clusterId, membership: cluster.members }
  }
}

export function proposeAnswerer(options: FormationServerOptions): Answerer {
  return async (question, caller): Promise<{ readonly accepted: boolean; readonly code: string } | undefined> => {
    const asked = proposeQuestionSchema.safeParse(question)
    if (!asked.success) return undefined
    if (!(await isAllowed(options, caller, asked.data.credentials))) return { accepted: false, code: 'join_denied' }
    const { self, expect, adoption } = options
    const { clusterId, membership } = asked.data
    if (adoption.isProposing) return { accepted: false, code: 'proposes_itself' }
    const refusal = judgeProposal({ clusterId, membership }, { self, expect, own: adoption.cluster, proposer: caller.hello.nodeId })
    if (refusal !== undefined) return { accepted: false, code: refusal }
    const isAdopted = await adoption.adopt({ clusterId, members: membership, origin: 'formed' })
    return isAdopted ? { accepted: true, code: 'accepted' } : { accepted: false, code: 'adopted_another' }
  }
}
