import { everyone } from '../../contract/access-file.ts'
import type { AccessEntry } from '../../contract/access-file.ts'
import { createHash } from 'node:crypto' // a pure function of its input here
import type { Cluster } from '../resource/cluster.ts'
import { operatorUser } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import type { DesiredObject } from './desired-object.ts'
import type { AccessMaterial } from './material.ts'
import { secret } from './secret.ts'

export const accessFileKey = 'access.json'
/** From which version of which Secret each hash was made, so that an unchanged password is not hashed again. */
export const sourcesAnnotation = 'securesql.dev/password-sources'
/** SHA-256 of the file as we wrote it: a file that somebody else changed is not believed. */
export const digestAnnotation = 'securesql.dev/access-digest'

export function accessSecret(cluster: Cluster, access: AccessMaterial): DesiredObject {
  return secret(cluster, {
    name: names.access(cluster),
    type: 'opaque',
    holds: 'access-file',
    data: { [accessFileKey]: access.file },
    annotations: { [sourcesAnnotation]: JSON.stringify(access.sources), [digestAnnotation]: accessDigest(access.file) },
  })
}

export function accessDigest(file: string): string {
  return createHash('sha256').update(file).digest('hex')
}

/**
 * The access file: everybody may ask whether a member is ready (probes carry no credentials), the operator may ask for status, and each user has what the
 * resource says. A user without a hash is left out: there is no user without a password.
 */
export function accessFile(cluster: Cluster, hashes: ReadonlyMap<string, string>): string {
  const operatorHash = hashes.get(operatorUser)
  const entries: AccessEntry[] = [{ username: everyone, perms: ['ready'] }]
  if (operatorHash !== undefined) entries.push({ username: operatorUser, password: operatorHash, perms: ['status', 'ready'] })
  for (const user of cluster.users) {
    const hash = hashes.get(user.name)
    if (hash !== undefined) entries.push({ username: user.name, password: hash, perms: user.permissions })
  }
  return `${JSON.stringify(entries, undefined, 2)}\n`
}
