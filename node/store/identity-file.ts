// Who this data directory is, in one small file that is replaced as a whole: written beside, synced, renamed, and the directory synced. It also remembers which log
// belongs to it: a log that has vanished or comes from elsewhere must not be taken for that of a new node, whose vote would count twice.
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { ClusterIdentity, IdentityStore } from '../peer/cluster-identity.ts'
import { parseMembership, parseNodeId } from '../raft/membership-codec.ts'
import type { NodeId } from '../raft/membership.ts'
import { syncDirectory } from './directory-disk.ts'
import { logIdBytes, type LogId } from './segment-format.ts'

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
}

const shape = z.strictObject({
  format: z.literal(1),
  nodeId: z.string(),
  incarnation: z.string().min(1),
  logId: z.string().regex(new RegExp(`^[0-9a-f]{${logIdBytes * 2}}$`)),
  isLogMade: z.boolean(),
  cluster: z.strictObject({ clusterId: z.string().min(1), members: z.unknown(), origin: z.enum(['formed', 'joined']) }).nullable(),
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
    }
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

export class IdentityFile implements IdentityStore {
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

  get isLogMade(): boolean {
    return this.#stored.isLogMade
  }

  logMade(): void {
    this.#replace({ ...this.#stored, isLogMade: true })
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
  const { incarnation, logId, isLogMade, cluster } = parsed.data
  const nodeId = parseNodeId(parsed.data.nodeId)
  if (!nodeId.ok) return undefined
  if (cluster === null) return { nodeId: nodeId.value, incarnation, logId, isLogMade, cluster: undefined }
  const members = parseMembership(cluster.members)
  if (!members.ok) return undefined
  return { nodeId: nodeId.value, incarnation, logId, isLogMade, cluster: { ...cluster, members: members.value } }
}

function writeDurably(path: string, stored: StoredIdentity): void {
  const text = `${JSON.stringify({ format: 1, ...stored, cluster: stored.cluster ?? null }, undefined, 2)}\n`
  const temporary = `${path}.tmp`
  rmSync(temporary, { force: true }) // left by a crash
  const descriptor = openSync(temporary, 'wx', 0o600)
  try {
    writeSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(temporary, path)
  syncDirectory(dirname(path))
}
