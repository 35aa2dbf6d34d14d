// What tests of the reconciler ask of a world.
import assert from 'node:assert/strict'
import type { AccessEntry } from '../../contract/access-file.ts'
import { parseAccessFile } from '../../contract/parse-access-file.ts'
import type { ClusterStatus } from '../resource/cluster-status.ts'
import type { ConditionType } from '../resource/conditions.ts'
import { allReady, secretOf, textOf } from './test-world.ts'
import type { World } from './test-world.ts'

export const spec = {
  replicas: 3,
  storage: { size: '1Gi' },
  users: [
    { name: 'app', permissions: ['execute', 'query'] },
    { name: 'reporting', permissions: ['query'], passwordSecret: { name: 'reporting-password', key: 'password' } },
  ],
  network: { allowedClients: [{ podSelector: { matchLabels: { app: 'shop' } } }] },
}

/** The cluster of `spec`, settled, with every member ready. */
export async function start(world: World): Promise<void> {
  await secretOf(world, 'reporting-password', { password: 'quarterly' })
  await world.user(spec)
  await world.settle()
  allReady(world, 3)
  await world.settle()
}

export async function statusOf(world: World): Promise<ClusterStatus> {
  return (await world.object('SecureSqlCluster', 'orders'))?.['status'] as ClusterStatus
}

/** Status and reason. */
export async function condition(world: World, type: ConditionType): Promise<readonly (string | undefined)[]> {
  const found = (await statusOf(world)).conditions?.find((candidate) => candidate.type === type)
  return [found?.status, found?.reason]
}

export async function message(world: World, type: ConditionType): Promise<string> {
  return (await statusOf(world)).conditions?.find((candidate) => candidate.type === type)?.message ?? ''
}

export async function entries(world: World): Promise<readonly AccessEntry[]> {
  const parsed = parseAccessFile(await textOf(world, 'orders-access', 'access.json'))
  assert.ok(parsed.ok)
  return parsed.value
}

export async function hashOf(world: World, user: string): Promise<string | undefined> {
  return (await entries(world)).find((entry) => entry.username === user)?.password
}

export async function grantedTo(world: World, user: string, password: string): Promise<boolean> {
  const hash = await hashOf(world, user)
  return hash !== undefined && (await world.credentials.passwordMatches(password, hash))
}
