// Recovery from a lost quorum, by hand: the operator stops all survivors and puts the same DATA_DIR/raft/peers.json (rqlite's format) on each; at its next start every
// one of them takes the members listed there for the members in force. What keeps this safe is the epoch: survivors with the same file get the same new cluster id, those
// with another file, or without one, get or keep another and can never meet them. The log and the votes are left as they are.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { parseHostPort } from '../../contract/host-port.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import { parseMembership } from '../raft/membership-codec.ts'
import type { Member, Membership, NodeId } from '../raft/membership.ts'
import { syncDirectory } from '../log/directory-disk.ts'
import type { IdentityFile } from './identity-file.ts'

export interface PeersFileProblem {
  /**
   * `peers_file_invalid`: not the format, no voter, or this node is not listed. `peers_file_unknown_member`: it lists an id that this node does not know as a member.
   * `peers_file_without_cluster`: this node has never been a member of a cluster. Nothing was changed.
   */
  readonly code: 'peers_file_invalid' | 'peers_file_unknown_member' | 'peers_file_without_cluster'
  readonly message: string
}

const peersShape = z.array(z.strictObject({ id: z.string(), address: z.string(), non_voter: z.boolean().default(false) })).min(1)

export function peersPath(logPath: string): string {
  return join(logPath, 'peers.json')
}

/**
 * Carries out a peers.json once, durably, in the identity; gives what was done, undefined when there is nothing to do. `inForce`: as this node has applied it.
 * A crash before `finishRecovery` finds the file again and knows that it was carried out.
 */
export function recoverQuorum(
  path: string,
  options: { readonly identity: IdentityFile; readonly inForce: () => Membership | undefined },
): Result<Membership | undefined, PeersFileProblem> {
  const { identity } = options
  if (!existsSync(path)) {
    identity.recovered()
    return ok(undefined)
  }
  const text = readFileSync(path, 'utf8')
  const hash = createHash('sha256').update(text).digest('hex')
  if (identity.recoveredBy === hash) return ok(undefined)
  const { cluster } = identity
  if (cluster === undefined)
    return fail({ code: 'peers_file_without_cluster', message: `${path}: this node has never been a member of a cluster` })
  const inForce = newest(options.inForce(), cluster.members)
  const members = readPeers(text, inForce, identity.nodeId)
  if (!members.ok) return fail({ ...members.problem, message: `${path}: ${members.problem.message}` })
  identity.recover(members.value, { clusterId: clusterIdAfter(cluster.clusterId, members.value), by: hash })
  return ok(members.value)
}

/** Last of all: a file that is gone is never carried out again. */
export function finishRecovery(path: string): void {
  if (!existsSync(path)) return
  renameSync(path, join(dirname(path), 'peers.info'))
  syncDirectory(dirname(path))
}

/** A database that has not applied anything yet knows no members; one that lost its last transactions knows those of an older epoch. */
function newest(applied: Membership | undefined, known: Membership): Membership {
  return applied !== undefined && (applied.epoch ?? 0) >= (known.epoch ?? 0) ? applied : known
}

function readPeers(text: string, inForce: Membership, self: NodeId): Result<Membership, PeersFileProblem> {
  const peers = peersShape.safeParse(parseJson(text))
  if (!peers.success) return invalid('it must be a JSON array of {"id", "address", "non_voter"}')
  const members: Member[] = []
  for (const { id, address, non_voter } of peers.data) {
    const known = inForce.members.find((member) => member.id === id)
    if (known === undefined)
      return fail({
        code: 'peers_file_unknown_member',
        message: `${id} is not a member that this node knows: list survivors only, others join later`,
      })
    if (!parseHostPort(address).ok) return invalid(`the address of ${id} is not host:port`)
    members.push({ ...known, raftAddress: address, suffrage: non_voter ? 'non-voter' : 'voter' })
  }
  if (!members.some(({ id }) => id === self)) return invalid('it does not list this node')
  if (!members.some(({ suffrage }) => suffrage === 'voter')) return invalid('it lists no voter')
  const sorted = members.toSorted((one, other) => (one.id < other.id ? -1 : 1))
  const parsed = parseMembership({ members: sorted, epoch: (inForce.epoch ?? 0) + 1 })
  return parsed.ok ? parsed : invalid(`its members cannot form a cluster (${parsed.problem})`)
}

/**
 * The same on every survivor that was given the same file, in the shape of a random one. An API address is no part of it: the file does not say it, and one survivor may have
 * applied a change of it that another has not.
 */
function clusterIdAfter(clusterId: string, { members, epoch }: Membership): string {
  const listed = members.map(({ id, incarnation, raftAddress, suffrage }) => [id, incarnation, raftAddress, suffrage])
  const digest = createHash('sha256')
    .update(JSON.stringify([clusterId, epoch, ...listed]))
    .digest('hex')
  return [digest.slice(0, 8), digest.slice(8, 12), digest.slice(12, 16), digest.slice(16, 20), digest.slice(20, 32)].join('-')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // not JSON
  }
}

function invalid(message: string): Result<never, PeersFileProblem> {
  return fail({ code: 'peers_file_invalid', message })
}
