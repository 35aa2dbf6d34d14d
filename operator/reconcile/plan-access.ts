// Who gets which hash in the access file. PURE.
// A user whose Secret is missing or unusable keeps the hash that the file has, with the permissions that the resource gives *now*: taking a right away must
// not wait for a Secret. A user without a hash in the file is left out, and everybody else is served as usual.
import { bcryptPasswordBytesMax, kindOfPassword } from '../../contract/access-file.ts'
import { parseAccessFile } from '../../contract/parse-access-file.ts'
import { accessDigest, accessFileKey, digestAnnotation, sourcesAnnotation } from '../desired/access-secret.ts'
import type { KubeObject } from '../kube/kube.ts'
import { operatorUser } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import type { Observation } from './observation.ts'
import type { HashTask, Problem } from './plan-action.ts'
import { secretSource, secretText } from './secret-text.ts'

export interface AccessPlan {
  readonly tasks: readonly HashTask[]
  readonly problems: readonly Problem[]
  /** Users (and the operator) whose generated password has still to be made. */
  readonly passwordless: readonly string[]
}

type Password =
  | { readonly state: 'known'; readonly text: string; readonly source: string }
  /** Ours, and not made yet. */
  | { readonly state: 'unmade' }
  | { readonly state: 'unknown'; readonly problem: Problem }

export function planAccess(observation: Observation): AccessPlan {
  const known = hashesOf(observation.objects.get(`Secret ${names.access(observation.cluster)}`))
  const users = [operatorUser, ...observation.cluster.users.map((user) => user.name)]
  const passwords = users.map((user) => ({ user, password: passwordOf(observation, user) }))
  return {
    tasks: passwords.flatMap(({ user, password }) => taskOf(user, password, known.get(user)) ?? []),
    problems: passwords.flatMap(({ password }) => (password.state === 'unknown' ? [password.problem] : [])),
    passwordless: passwords.flatMap(({ user, password }) => (password.state === 'unmade' ? [user] : [])),
  }
}

function taskOf(user: string, password: Password, present: KnownHash | undefined): HashTask | undefined {
  if (password.state !== 'known') {
    // A file that somebody else changed is not believed without the password that proves it.
    return present === undefined || !present.believed ? undefined : { user, how: 'keep', hash: present.hash, source: present.source }
  }
  const { text, source } = password
  if (present === undefined) return { user, how: 'hash', password: text, source }
  if (present.believed && present.source === source) return { user, how: 'keep', hash: present.hash, source }
  return { user, how: 'check', password: text, hash: present.hash, source }
}

function passwordOf(observation: Observation, user: string): Password {
  const { cluster, objects, foreign, passwordSecrets } = observation
  const reference = cluster.users.find((candidate) => candidate.name === user)?.passwordSecret
  const name = reference?.name ?? (user === operatorUser ? names.operatorUser(cluster) : names.userPassword(cluster, user))
  const key = reference?.key ?? 'password'
  const secret = reference === undefined ? objects.get(`Secret ${name}`) : passwordSecrets.get(name)
  if (secret === undefined) {
    if (foreign.has(`Secret ${name}`) && reference === undefined)
      return { state: 'unknown', problem: { code: 'NameTaken', object: `Secret ${name}` } }
    return reference === undefined
      ? { state: 'unmade' }
      : { state: 'unknown', problem: { code: 'PasswordSecretMissing', user, secret: name } }
  }
  const text = secretText(secret, key)
  if (text === undefined && reference === undefined) return { state: 'unmade' }
  const why = unusable(text, key)
  return why === undefined && text !== undefined
    ? { state: 'known', text, source: secretSource(secret, key) }
    : { state: 'unknown', problem: { code: 'PasswordUnusable', user, secret: name, why: why ?? '' } }
}

/** Never quotes the password. */
function unusable(text: string | undefined, key: string): string | undefined {
  if (text === undefined) return `it has no text under the key ${key}`
  if (text === '') return `the key ${key} is empty`
  // Most often the line break of `echo`: whoever mounts the Secret would send it, too, or would not; better to say so.
  if (/\p{Cc}/u.test(text))
    return `the key ${key} holds a line break or another control character, which HTTP Basic cannot carry (RFC 7617)`
  if (Buffer.byteLength(text) > bcryptPasswordBytesMax)
    return `the key ${key} has more than ${bcryptPasswordBytesMax} bytes, and bcrypt ignores the rest`
  // A hash would be hashed again, and would then itself be the password.
  if (kindOfPassword(text).kind !== 'cleartext') return `the key ${key} holds a hash; put the password itself there`
  return undefined
}

interface KnownHash {
  readonly hash: string
  readonly source: string
  /** The file is the one that we wrote. */
  readonly believed: boolean
}

function hashesOf(access: KubeObject | undefined): ReadonlyMap<string, KnownHash> {
  const file = secretText(access, accessFileKey)
  const parsed = file === undefined ? undefined : parseAccessFile(file)
  if (file === undefined || parsed === undefined || !parsed.ok) return new Map()
  const annotations = access?.metadata.annotations ?? {}
  const believed = annotations[digestAnnotation] === accessDigest(file)
  const sources = parseSources(annotations[sourcesAnnotation])
  return new Map(
    parsed.value.flatMap(({ username, password }) =>
      password !== undefined && kindOfPassword(password).kind === 'bcrypt'
        ? [[username, { hash: password, source: sources.get(username) ?? '', believed }]]
        : [],
    ),
  )
}

function parseSources(text: string | undefined): ReadonlyMap<string, string> {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    if (typeof value !== 'object' || value === null) return new Map()
    return new Map(Object.entries(value).flatMap(([user, source]) => (typeof source === 'string' ? [[user, source]] : [])))
  } catch {
    return new Map() // not JSON: somebody else wrote it, so every hash is checked again
  }
}
