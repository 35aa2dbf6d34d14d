// Who this data directory is, in one small file that is replaced as a whole: written beside, synced, renamed, and the directory synced. It also remembers which log
// belongs to it: a log that has vanished or comes from elsewhere must not be taken for that of a new node, whose vote would count twice.
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { ClusterIdentity, IdentityStore } from '../peer/cluster-identity.ts'
import { parseMembership, parseNodeId } from '../raft/membership-codec.ts'
import type { Membership, NodeId } from '../raft/membership.ts'
import type { Trust } from '../raft/raft-port.ts'
import type { TrustStore } from '../replica/trust-store.ts'
import { replaceDurably } from './durable-file.ts'
import type { LogStart } from '../log/log-recovery.ts'
import { logIdBytes, type LogId } from '../log/segment-format.ts'

export interface IdentityProblem {
  /** `data_dir_of_another_node`: it was made under another node id. `identity_corrupt`: the file is not what we write. `identity_missing`: data without it. */
  readonly code: 'data_dir_of_another_node' | 'identity_corrupt' | 'identity_missing'
  readonly message: string
}

/** The log's identity; `isLogMade` goes from false to true once, when the log is durable. */
interface StoredIdentity {
  readonly nodeId: NodeId
  readonly incarnation: string
  readonly logId: string
  readonly isLogMade: boolean
  readonly cluster: ClusterIdentity | undefined
  readonly trust: Trust
  readonly life: number
  /** What the log begins with that is to be made in place of a damaged one. */
  readonly logStart: LogStart | undefined
  readonly isDatabaseSuspect: boolean
  /** Which peers.json has been carried out and may still lie there: SHA-256, hexadecimal. */
  readonly recoveredBy: string | undefined
}

const shape = z.strictObject({
  format: z.literal(1),
  nodeId: z.string(),
  incarnation: z.string().min(1),
  logId: z.string().regex(new RegExp(`^[0-9a-f]{${logIdBytes * 2}}$`)),
  isLogMade: z.boolean(),
  cluster: z.strictObject({ clusterId: z.string().min(1), members: z.unknown(), origin: z.enum(['formed', 'joined']) }).nullable(),
  // A file of an earlier version does not say it.
  trust: z.enum(['trusted', 'untrusted']).default('trusted'),
  life: z.int().min(0).default(0),
  logStart: z
    .strictObject({
      base: z.strictObject({ index: z.number(), term: z.number() }),
      hardState: z.strictObject({ term: z.number(), votedFor: z.string().nullable() }),
    })
    .nullable()
    .default(null),
  isDatabaseSuspect: z.boolean().default(false),
  recoveredBy: z.string().nullable().default(null),
})

/** A new identity where there is none; `hasData`: files that only a node that had one can have made. */
export function openIdentityFile(
  path: string,
  options: { readonly nodeId: NodeId; readonly hasData: boolean },
): Result<IdentityFile, IdentityProblem> {
  if (!existsSync(path)) {
    if (options.hasData)
      return fail({
        code: 'identity_missing',
        message: `${path} is gone, but there are a log or a database: this cannot be told from another node's data`,
      })
    const fresh = {
      nodeId: options.nodeId,
      incarnation: randomUUID(),
      logId: randomBytes(logIdBytes).toString('hex'),
      isLogMade: false,
      cluster: undefined,
      trust: 'trusted',
      life: 0,
      logStart: undefined,
      isDatabaseSuspect: false,
      recoveredBy: undefined,
    } as const
    writeDurably(path, fresh)
    return ok(new IdentityFile(path, fresh))
  }
  const stored = parseIdentity(readFileSync(path, 'utf8'))
  if (stored === undefined) return fail({ code: 'identity_corrupt', message: `${path} cannot be read` })
  if (stored.nodeId !== options.nodeId) {
    return fail({
      code: 'data_dir_of_another_node',
      message: `${dirname(path)} belongs to node ${stored.nodeId}, not to ${options.nodeId}: start with that node id, or with another directory`,
    })
  }
  return ok(new IdentityFile(path, stored))
}

export class IdentityFile implements IdentityStore, TrustStore {
  readonly #path: string
  #stored: StoredIdentity

  constructor(path: string, stored: StoredIdentity) {
    this.#path = path
    this.#stored = stored
  }

  get nodeId(): NodeId {
    return this.#stored.nodeId
  }

  get incarnation(): string {
    return this.#stored.incarnation
  }

  get cluster(): ClusterIdentity | undefined {
    return this.#stored.cluster
  }

  get logId(): LogId {
    return Buffer.from(this.#stored.logId, 'hex')
  }

  get trust(): Trust {
    return this.#stored.trust
  }

  countStart(): void {
    this.#replace({ ...this.#stored, life: this.#stored.life + 1 })
  }

  /** Of starts with this directory, this one included: a directory that was put back to an earlier state counts backwards. */
  get life(): number {
    return this.#stored.life
  }

  /** SQLite has reported an error of the disk: at the next start the whole file is read before it is used. */
  get isDatabaseSuspect(): boolean {
    return this.#stored.isDatabaseSuspect
  }

  get logStart(): LogStart | undefined {
    return this.#stored.logStart
  }

  get recoveredBy(): string | undefined {
    return this.#stored.recoveredBy
  }

  setTrust(trust: Trust): void {
    if (trust !== this.#stored.trust) this.#replace({ ...this.#stored, trust })
  }

  suspectDatabase(state: 'suspect' | 'sound'): void {
    const isDatabaseSuspect = state === 'suspect'
    if (isDatabaseSuspect !== this.#stored.isDatabaseSuspect) this.#replace({ ...this.#stored, isDatabaseSuspect })
  }

  /** From now on another log belongs here, which is to be made: whoever remembers the old one's place in the cluster must know how far this node can be believed. */
  renewLog(logStart: LogStart, trust: Trust): void {
    this.#replace({ ...this.#stored, logId: randomBytes(logIdBytes).toString('hex'), isLogMade: false, logStart, trust })
  }

  /** The cluster begins a new epoch with other members, by the hand of an operator who vouches for what this node holds. */
  recover(members: Membership, options: { readonly clusterId: string; readonly by: string }): void {
    const { cluster } = this.#stored
    assert(cluster !== undefined, 'only a member recovers')
    this.#replace({
      ...this.#stored,
      cluster: { ...cluster, members, clusterId: options.clusterId },
      trust: 'trusted',
      recoveredBy: options.by,
    })
  }

  recovered(): void {
    if (this.#stored.recoveredBy !== undefined) this.#replace({ ...this.#stored, recoveredBy: undefined })
  }

  get isLogMade(): boolean {
    return this.#stored.isLogMade
  }

  logMade(): void {
    this.#replace({ ...this.#stored, isLogMade: true, logStart: undefined })
  }

  adopt(cluster: ClusterIdentity): Promise<void> {
    const known = this.#stored.cluster
    assert(known === undefined || isDeepStrictEqual(known, cluster), 'a node belongs to one cluster for its whole life')
    if (known === undefined) this.#replace({ ...this.#stored, cluster })
    return Promise.resolve()
  }

  #replace(stored: StoredIdentity): void {
    writeDurably(this.#path, stored)
    this.#stored = stored
  }
}

function parseIdentity(text: string): StoredIdentity | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined // not JSON
  }
  const parsed = shape.safeParse(value)
  if (!parsed.success) return undefined
  const { cluster, logStart, recoveredBy, ...rest } = parsed.data
  const nodeId = parseNodeId(parsed.data.nodeId)
  const start = logStart === null ? ok(undefined) : parseLogStart(logStart)
  if (!nodeId.ok || !start.ok) return undefined
  const own = { ...rest, nodeId: nodeId.value, logStart: start.value, recoveredBy: recoveredBy ?? undefined }
  if (cluster === null) return { ...own, cluster: undefined }
  const members = parseMembership(cluster.members)
  if (!members.ok) return undefined
  return { ...own, cluster: { ...cluster, members: members.value } }
}

function parseLogStart(start: NonNullable<z.infer<typeof shape>['logStart']>): Result<LogStart, 'node_id_invalid'> {
  const { term, votedFor } = start.hardState
  if (votedFor === null) return ok({ base: start.base, hardState: { term, votedFor: undefined } })
  const vote = parseNodeId(votedFor)
  return vote.ok ? ok({ base: start.base, hardState: { term, votedFor: vote.value } }) : vote
}

function writeDurably(path: string, stored: StoredIdentity): void {
  const { logStart } = stored
  const start =
    logStart === undefined ? null : { ...logStart, hardState: { ...logStart.hardState, votedFor: logStart.hardState.votedFor ?? null } }
  const file = { format: 1, ...stored, cluster: stored.cluster ?? null, logStart: start, recoveredBy: stored.recoveredBy ?? null }
  replaceDurably(path, `${JSON.stringify(file, undefined, 2)}\n`)
}
