// Does what the plan says, in its order. A write that fails keeps nothing else from being tried: within a stage nothing relies on what came before (the next
// stage is planned from what the API server then has), and one policy that is refused must not stop a revocation or a renewal.
import assert from 'node:assert/strict'
import type { Credentials } from '../credentials/credentials.ts'
import { accessFile, accessSecret } from '../desired/access-secret.ts'
import { clientCaSecret, nodeCaSecret } from '../desired/ca-secret.ts'
import type { DesiredObject } from '../desired/desired-object.ts'
import { operatorPasswordSecret, userPasswordSecret } from '../desired/password-secret.ts'
import { apiTlsSecret, nodeTlsSecret } from '../desired/tls-secret.ts'
import type { Kube, KubeProblem } from '../kube/kube.ts'
import type { Cluster } from '../resource/cluster.ts'
import { operatorName, operatorUser } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { stamped } from './difference.ts'
import { objectKey } from './observation.ts'
import type { Action, HashTask } from './plan-action.ts'

/** One field manager for everything, so that server-side apply knows what is ours. */
export const fieldManager = operatorName

export interface ActPorts {
  readonly kube: Kube
  readonly credentials: Credentials
  readonly now: () => number
  /** False once the Lease is lost: another operator may act by now, and nothing more may be written. */
  readonly mayWrite: () => boolean
}

export interface FailedWrite {
  readonly action: Action
  readonly object: string
  readonly problem: KubeProblem
}

/** The writes that failed. */
export async function act(ports: ActPorts, cluster: Cluster, actions: readonly Action[]): Promise<readonly FailedWrite[]> {
  const failed: FailedWrite[] = []
  for (const action of actions) {
    const object = action.kind === 'apply' ? action.object : stamped(await made(ports, cluster, action))
    if (!ports.mayWrite()) return failed
    const applied = await ports.kube.apply(object, fieldManager)
    if (!applied.ok) failed.push({ action, object: objectKey(object), problem: applied.problem })
  }
  return failed
}

async function made({ credentials, now }: ActPorts, cluster: Cluster, action: Exclude<Action, { kind: 'apply' }>): Promise<DesiredObject> {
  switch (action.kind) {
    case 'issue-ca': {
      const ca = await credentials.issueCa({ authority: action.authority, clusterName: cluster.name, nowMs: now() })
      return action.authority === 'client' ? clientCaSecret(cluster, ca) : nodeCaSecret(cluster, ca)
    }
    case 'issue-leaf': {
      const { authority, ca, names: wanted } = action
      const commonName = authority === 'client' ? names.clientService(cluster) : names.nodesService(cluster)
      const leaf = await credentials.issueLeaf({ authority, commonName, ...wanted, ca, nowMs: now() })
      return authority === 'client' ? apiTlsSecret(cluster, leaf, ca.certificatePem) : nodeTlsSecret(cluster, leaf, ca.certificatePem)
    }
    case 'make-password': {
      const password = credentials.newPassword()
      return action.user === operatorUser ? operatorPasswordSecret(cluster, password) : userPasswordSecret(cluster, action.user, password)
    }
    case 'write-access': {
      const hashes = new Map<string, string>()
      // One after the other: they share one thread anyway.
      for (const task of action.tasks) hashes.set(task.user, await hashOf(credentials, task))
      const sources = Object.fromEntries(action.tasks.map((task) => [task.user, task.source]))
      return accessSecret(cluster, { file: accessFile(cluster, hashes), sources })
    }
  }
}

async function hashOf(credentials: Credentials, task: HashTask): Promise<string> {
  if (task.how === 'keep') return task.hash
  // The Secret changed, or somebody else changed the file: the hash stays only if it is one of the password.
  if (task.how === 'check' && (await credentials.passwordMatches(task.password, task.hash))) return task.hash
  const hash = await credentials.hashPassword(task.password)
  assert(hash !== task.password, 'a hash')
  return hash
}
