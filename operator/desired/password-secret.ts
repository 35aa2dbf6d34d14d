import { operatorUser } from '../resource/labels.ts'
import type { Cluster } from '../resource/cluster.ts'
import { names } from '../resource/names.ts'
import type { DesiredObject } from './desired-object.ts'
import { secret } from './secret.ts'

/** The password that the operator made for a user who names no Secret. */
export function userPasswordSecret(cluster: Cluster, user: string, password: string): DesiredObject {
  return passwordSecret(cluster, names.userPassword(cluster, user), user, password)
}

/** The operator's own password: it may ask for status and readiness, nothing else. */
export function operatorPasswordSecret(cluster: Cluster, password: string): DesiredObject {
  return passwordSecret(cluster, names.operatorUser(cluster), operatorUser, password)
}

function passwordSecret(cluster: Cluster, name: string, username: string, password: string): DesiredObject {
  return secret(cluster, { name, type: 'opaque', holds: 'password', data: { username, password } })
}
