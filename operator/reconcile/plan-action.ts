// What a pass may do, and what it found that it cannot do. Closed lists: `act` executes the one, `status` tells the other.
import type { Authority } from '../credentials/credentials.ts'
import type { CertificateNames } from '../desired/certificate-names.ts'
import type { DesiredObject } from '../desired/desired-object.ts'
import type { PemPair } from '../desired/material.ts'
import type { KubeProblem } from '../kube/kube.ts'

export type Action =
  /** `because`: `absent`, or the first field that differs. The object is stamped. */
  | { readonly kind: 'apply'; readonly object: DesiredObject; readonly because: string }
  | { readonly kind: 'issue-ca'; readonly authority: Authority }
  | {
      readonly kind: 'issue-leaf'
      readonly authority: Authority
      readonly ca: PemPair
      readonly names: CertificateNames
      readonly because: LeafReason
    }
  /** For a user of the resource, or for the operator's own. */
  | { readonly kind: 'make-password'; readonly user: string }
  | { readonly kind: 'write-access'; readonly tasks: readonly HashTask[] }

export type LeafReason = 'absent' | 'unreadable' | 'other-ca' | 'names-changed' | 'not-yet-valid' | 'renewal-due'

/** How a user comes to a hash. `keep`: nothing to compute. `check`: keep `hash` if it is one of `password`, else hash it. */
export type HashTask = { readonly user: string; readonly source: string } & (
  | { readonly how: 'keep'; readonly hash: string }
  | { readonly how: 'check'; readonly hash: string; readonly password: string }
  | { readonly how: 'hash'; readonly password: string }
)

export type Problem =
  | { readonly code: 'NameTaken'; readonly object: string }
  | { readonly code: 'ApplyRefused'; readonly object: string; readonly message: string }
  /** `because`: the field that differs again after each write. */
  | { readonly code: 'Contested'; readonly object: string; readonly because: string }
  | { readonly code: 'ApiServerProblem'; readonly object: string; readonly problem: KubeProblem['code'] }
  | { readonly code: 'ScalingNotSupportedYet'; readonly present: number; readonly wanted: number }
  | { readonly code: 'StorageGrowthNotSupportedYet'; readonly present: string; readonly wanted: string }
  | { readonly code: 'PasswordSecretMissing'; readonly user: string; readonly secret: string }
  | { readonly code: 'PasswordUnusable'; readonly user: string; readonly secret: string; readonly why: string }
  | { readonly code: 'CertificateAuthorityMissing'; readonly secret: string }
  | { readonly code: 'CertificateAuthorityReplaced'; readonly secret: string }
  | { readonly code: 'CertificateAuthorityInvalid'; readonly secret: string }
  | { readonly code: 'MembersUnclear'; readonly said: number | undefined; readonly present: number | undefined }
  | { readonly code: 'CertificateAuthorityExpiring'; readonly secret: string; readonly expiresAtMs: number }

/** A sentence for people. Never holds a password: problems carry names only. */
export function describeProblem(problem: Problem): string {
  switch (problem.code) {
    case 'NameTaken':
      return `${problem.object} exists already and does not belong to this cluster; it was not touched`
    case 'ApplyRefused':
      return `the API server refused ${problem.object}: ${problem.message}`
    case 'Contested':
      return `${problem.object} is changed back each time that it is written (${problem.because}): a webhook or another installation of the operator contests it; it is tried again ever more slowly`
    case 'ApiServerProblem':
      // Without the message, which may differ each time: the status would be written again in every pass. The log has it.
      return `reading or writing ${problem.object} fails again and again (${problem.problem}); the operator's log says more`
    case 'ScalingNotSupportedYet':
      return `the cluster has ${problem.present} members and stays so: changing to ${problem.wanted} is not supported yet`
    case 'StorageGrowthNotSupportedYet':
      return `the volumes have ${problem.present} and stay so: growing to ${problem.wanted} is not supported yet`
    case 'PasswordSecretMissing':
      return `the Secret ${problem.secret} with the password of user ${problem.user} does not exist`
    case 'PasswordUnusable':
      return `the Secret ${problem.secret} holds no usable password for user ${problem.user}: ${problem.why}`
    case 'CertificateAuthorityMissing':
      return `the CA in the Secret ${problem.secret} is gone while its certificates are in use; put it back, or delete the certificates' Secrets too to begin anew`
    case 'CertificateAuthorityReplaced':
      return `the Secret ${problem.secret} holds another CA than the one that signed the certificates in use, and members would no longer trust each other; put the former one back, or delete the certificates' Secrets too to begin anew`
    case 'CertificateAuthorityInvalid':
      return `the CA in the Secret ${problem.secret} has expired or is not valid yet (or the operator's clock is wrong); nothing is signed with it`
    case 'MembersUnclear':
      return `the StatefulSet was changed by somebody else: it was made for ${problem.said ?? 'an unknown number of'} members and has ${problem.present ?? 'an unknown number'}; it is not written to until both numbers agree`
    case 'CertificateAuthorityExpiring':
      return `the CA in the Secret ${problem.secret} expires at ${new Date(problem.expiresAtMs).toISOString()}`
  }
}
