// Members that are gone for good, with real processes: the reaper, and a quorum that is lost and replaced by hand.
import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { renderFlag } from '../contract/flags/render-flag.ts'
import { waitUntil } from './apiserver/wait-until.ts'
import { resultsOf, type ApiReply, type ApiRequest } from './processes/api-client.ts'
import { ClusterOfProcesses } from './processes/cluster-of-processes.ts'
import type { NodeProcess } from './processes/node-process.ts'
import { sureWrite } from './processes/sure-write.ts'

// They only end what hangs: the machine may be loaded.
const waitMsMax = 180_000
const nodesReply = z.object({ nodes: z.array(z.object({ id: z.string(), addr: z.string() })) })

async function ask(cluster: ClusterOfProcesses, node: NodeProcess, request: ApiRequest): Promise<ApiReply> {
  const answer = await cluster.client(node).send({ timeoutMs: waitMsMax, ...request })
  assert.ok(answer.kind === 'reply', JSON.stringify(answer))
  return answer
}

async function members(cluster: ClusterOfProcesses, node: NodeProcess): Promise<readonly { readonly id: string; readonly addr: string }[]> {
  const shown = await ask(cluster, node, { path: '/nodes?ver=2&nonvoters&timeout=1s' })
  return shown.status === 200 ? nodesReply.parse(JSON.parse(shown.body)).nodes : []
}

/** As soon as there is a leader to ask. */
async function count(cluster: ClusterOfProcesses, node: NodeProcess): Promise<unknown> {
  return await waitUntil({ what: `${node.id} answers`, deadlineMs: waitMsMax }, async () => {
    const answer = await ask(cluster, node, { path: '/db/query?level=linearizable', body: ['SELECT count(*) FROM foo'] })
    return resultsOf(answer)?.results[0]?.values?.[0]?.[0]
  })
}

async function start(flags: readonly string[]): Promise<ClusterOfProcesses> {
  const cluster = await ClusterOfProcesses.start({ nodes: 3, flags })
  const [node] = cluster.nodes
  assert.ok(node)
  const rows = 'INSERT INTO foo VALUES(1), (2) ON CONFLICT DO NOTHING'
  await sureWrite(cluster.client(node), ['CREATE TABLE IF NOT EXISTS foo (id INTEGER PRIMARY KEY)', rows])
  return cluster
}

test('a voter that stays away is reaped once, and comes back to hear that it was removed', async () => {
  const fast = [
    renderFlag('raft-heartbeat-timeout', 1_000),
    renderFlag('raft-election-timeout', 1_000),
    // Far above what the one that stays may be silent on a busy machine.
    renderFlag('raft-reap-node-timeout', 15_000),
  ]
  const cluster = await start(fast)
  try {
    const leader = await cluster.whoLeads()
    const [gone, stays] = cluster.nodes.filter(({ id }) => id !== leader.id)
    assert.ok(gone && stays)
    await gone.end('SIGKILL')
    await waitUntil({ what: `${gone.id} is reaped`, deadlineMs: waitMsMax }, async () =>
      (await members(cluster, stays)).length === 2 ? true : undefined,
    )
    assert.match(cluster.nodes.map((node) => node.log()).join(''), /silent member removed from the cluster/)
    assert.equal(await count(cluster, stays), 2)
    gone.start()
    await waitUntil({ what: `${gone.id} knows`, deadlineMs: waitMsMax }, async () => {
      const answer = await cluster.client(gone).send({ path: '/readyz' })
      return answer.kind === 'reply' && answer.code === 'node_removed' ? true : undefined
    })
    await waitUntil({ what: 'two are members', deadlineMs: waitMsMax }, async () =>
      (await members(cluster, stays)).length === 2 ? true : undefined,
    )
  } finally {
    await cluster.close()
  }
})

test('a lost quorum is replaced by hand with peers.json; who was not listed never meets the new cluster', async () => {
  const cluster = await start([])
  try {
    const [survivor, ...lost] = cluster.nodes
    assert.ok(survivor)
    const address = await waitUntil(
      { what: 'its address', deadlineMs: waitMsMax },
      async () => (await members(cluster, survivor)).find(({ id }) => id === survivor.id)?.addr,
    )
    for (const node of cluster.nodes) await node.end('SIGKILL')
    const [files] = cluster.files.nodes
    const peers = join(files?.dataDir ?? '', 'raft', 'peers.json')
    writeFileSync(peers, JSON.stringify([{ id: survivor.id, address, non_voter: false }]), { mode: 0o600 })
    survivor.start()
    await cluster.whenReady([survivor])
    assert.equal(await count(cluster, survivor), 2)
    await sureWrite(cluster.client(survivor), ['INSERT INTO foo VALUES(3) ON CONFLICT DO NOTHING'])
    assert.deepEqual(
      (await members(cluster, survivor)).map(({ id }) => id),
      [survivor.id],
    )
    assert.equal(existsSync(peers), false)
    // The others are a majority of the old cluster, and go on as what they were, without the survivor.
    for (const node of lost) node.start()
    await cluster.whenReady(lost)
    for (const node of lost) assert.equal(await count(cluster, node), 2)
    assert.equal(await count(cluster, survivor), 3)
    assert.deepEqual(
      (await members(cluster, survivor)).map(({ id }) => id),
      [survivor.id],
    )
  } finally {
    await cluster.close()
  }
})
