// Members that come and go, with real processes: handing over under load, snapshots of the log, removal, replacement, read replicas, and SIGTERM.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { z } from 'zod'
import { renderFlag } from '../contract/flags/render-flag.ts'
import { freePorts } from './apiserver/free-ports.ts'
import { waitUntil } from './apiserver/wait-until.ts'
import { resultsOf, type ApiAnswer, type ApiRequest } from './processes/api-client.ts'
import { admin, ClusterOfProcesses, patientTimers } from './processes/cluster-of-processes.ts'
import { NodeProcess } from './processes/node-process.ts'
import { sureWrite } from './processes/sure-write.ts'

// They only end what hangs: the machine may be loaded.
const waitMsMax = 120_000

// So long a node that stops goes on with what it has (node/lifecycle/orderly-stop.ts), and hands over before: a machine with nothing else to do needs a tenth of it.
const finishMsMax = 1_500

const nodesReply = z.object({ nodes: z.array(z.object({ id: z.string(), addr: z.string(), voter: z.boolean() })) })
const storeReply = z.object({ standing: z.string(), ready: z.boolean(), raft: z.object({ log_size: z.number(), trust: z.string() }) })

describe('members come and go', () => {
  let cluster: ClusterOfProcesses
  const newcomers: NodeProcess[] = []
  before(async () => {
    // Compaction is asked for here; by itself it would come at another time in each run.
    cluster = await ClusterOfProcesses.start({ nodes: 3, flags: [renderFlag('raft-snap-int', 3_600_000), ...patientTimers] })
  })
  after(async () => {
    for (const node of newcomers) if (node.isRunning) await node.end('SIGKILL')
    await cluster.close()
  })

  const ask = async (node: NodeProcess, request: ApiRequest): Promise<Extract<ApiAnswer, { kind: 'reply' }>> => {
    const client = cluster.client(node)
    const answer = await client.send({ timeoutMs: waitMsMax, ...request })
    client.close()
    assert.equal(answer.kind, 'reply', JSON.stringify(answer))
    assert.ok(answer.kind === 'reply')
    return answer
  }
  const write = (node: NodeProcess, sql: string) => ask(node, { path: '/db/execute', body: [sql] })
  const count = async (node: NodeProcess, level: string): Promise<unknown> => {
    const answer = await ask(node, { path: `/db/query?level=${level}`, body: ['SELECT count(*) FROM foo'] })
    return resultsOf(answer)?.results[0]?.values?.[0]?.[0]
  }
  const members = async (node: NodeProcess) =>
    nodesReply.parse(JSON.parse((await ask(node, { path: '/nodes?ver=2&nonvoters' })).body)).nodes
  const leader = (among: readonly NodeProcess[]): Promise<NodeProcess> =>
    waitUntil({ what: 'a leader', deadlineMs: waitMsMax, everyMs: 50 }, async () => {
      for (const node of among) {
        const shown = await ask(node, { path: '/leader' })
        const id = shown.status === 200 ? z.object({ id: z.string() }).parse(JSON.parse(shown.body)).id : undefined
        const found = among.find((known) => known.id === id)
        if (found !== undefined) return found
      }
      return undefined
    })
  const node = (position: number): NodeProcess => {
    const found = cluster.nodes[position]
    assert.ok(found)
    return found
  }

  /** Another data directory, another id; certificates of the first node, an access file of its own with a password that can be sent. */
  const newcomer = async (id: string, flags: readonly string[]): Promise<NodeProcess> => {
    const { files } = cluster
    const [certificates] = files.nodes
    const [api = 0, raft = 0] = await freePorts(2)
    assert.ok(certificates)
    const dataDir = join(files.folder, id)
    mkdirSync(dataDir, { mode: 0o700 })
    const access = join(files.folder, `${id}-access.json`)
    const entries = [
      { username: admin.name, password: admin.password, perms: ['all'] },
      { username: '*', perms: ['ready'] },
    ]
    writeFileSync(access, JSON.stringify(entries), { mode: 0o600 })
    const argv = [
      renderFlag('node-id', id),
      renderFlag('http-addr', `127.0.0.1:${api}`),
      renderFlag('raft-addr', `127.0.0.1:${raft}`),
      renderFlag('http-cert', certificates.httpCert),
      renderFlag('http-key', certificates.httpKey),
      renderFlag('http-ca-cert', files.apiCaFile),
      renderFlag('node-cert', certificates.nodeCert),
      renderFlag('node-key', certificates.nodeKey),
      renderFlag('node-ca-cert', files.nodeCaFile),
      renderFlag('node-verify-client', true),
      renderFlag('auth', access),
      renderFlag('join-as', admin.name),
      ...patientTimers,
      ...flags,
      dataDir,
    ]
    const started = new NodeProcess({ id, apiPort: api, arguments: argv, logFile: join(files.folder, `${id}.log`) })
    newcomers.push(started)
    started.start()
    await cluster.whenReady([started])
    return started
  }
  const throughApis = (): string =>
    renderFlag(
      'join',
      cluster.nodes.filter(({ isRunning }) => isRunning).map(({ apiPort }) => `https://127.0.0.1:${apiPort}`),
    )
  /** The system's resolver knows one name for sure. */
  const throughDns = async (at: NodeProcess): Promise<readonly string[]> => {
    const addr = (await members(at)).find(({ id }) => id === at.id)?.addr ?? ''
    const config = JSON.stringify({ name: 'localhost', port: Number(addr.split(':').at(-1)) })
    return [renderFlag('disco-mode', 'dns'), renderFlag('disco-config', config)]
  }
  const voterIds = async (at: NodeProcess): Promise<readonly string[]> =>
    (await members(at)).filter(({ voter }) => voter).map(({ id }) => id)

  test('leadership is handed over under load, and no write fails', async (context) => {
    await sureWrite(cluster.client(node(0)), ['CREATE TABLE IF NOT EXISTS foo (id INTEGER PRIMARY KEY, name TEXT)'])
    const load = new AbortController()
    let written = 0
    let gapMs = 0
    const writers = cluster.nodes.map(async (target) => {
      const client = cluster.client(target)
      let lastMs = performance.now()
      while (!load.signal.aborted) {
        const answer = await client.send({ path: '/db/execute', body: ["INSERT INTO foo(name) VALUES('x')"], timeoutMs: waitMsMax })
        assert.deepEqual([answer.kind, answer.kind === 'reply' ? answer.status : 0], ['reply', 200], JSON.stringify(answer))
        written += 1
        gapMs = Math.max(gapMs, performance.now() - lastMs)
        lastMs = performance.now()
      }
    })
    const move = async (): Promise<void> => {
      for (let round = 0; round < 6; round += 1) {
        const from = await leader(cluster.nodes)
        const to = cluster.nodes.find(({ id }) => id !== from.id)
        // Through a node that does not lead: it is forwarded.
        const done = await ask(to ?? from, { path: '/leader?wait', method: 'POST', body: { id: to?.id } })
        assert.equal(done.status, 200, done.body)
        // Who neither gave nor took it may hear of it a moment later.
        await waitUntil({ what: 'all know the new leader', deadlineMs: waitMsMax, everyMs: 20 }, async () => {
          const known = await Promise.all(cluster.nodes.map(async (each) => (await cluster.store(each))?.leader.node_id))
          return known.every((id) => id === to?.id) ? true : undefined
        })
      }
    }
    const moves = move().finally(() => load.abort())
    await Promise.all([moves, ...writers])
    context.diagnostic(`${written} writes, longest time between two answers of one writer ${gapMs.toFixed(0)} ms`)
    assert.equal(await count(node(0), 'linearizable'), written)
  })

  test('POST /snapshot shortens the log of the node that is asked, and then there is nothing more to gain', async () => {
    for (const one of cluster.nodes) {
      const logSize = async (): Promise<number> =>
        storeReply.parse(JSON.parse((await ask(one, { path: '/status?key=store' })).body)).raft.log_size
      const beforeBytes = await logSize()
      // What a member still needs stays: on the leader that may be a moment's work.
      await waitUntil({ what: `${one.id} compacts its log`, deadlineMs: waitMsMax, everyMs: 50 }, async () => {
        const { status } = await ask(one, { path: '/snapshot?trailing_logs=1', method: 'POST' })
        return status === 200 ? true : undefined
      })
      await waitUntil({ what: `${one.id} has a shorter log`, deadlineMs: waitMsMax, everyMs: 50 }, async () =>
        (await logSize()) <= beforeBytes ? true : undefined,
      )
      await waitUntil({ what: `${one.id} has nothing more to gain`, deadlineMs: waitMsMax, everyMs: 50 }, async () => {
        const { status } = await ask(one, { path: '/snapshot?trailing_logs=1', method: 'POST' })
        assert.ok(status === 200 || status === 204)
        return status === 204 ? true : undefined
      })
    }
  })

  test('a removed member serves nothing and says so, also after a restart; a new one takes its place by snapshot', async () => {
    const leading = await leader(cluster.nodes)
    const gone = cluster.nodes.find(({ id }) => id !== leading.id)
    assert.ok(gone)
    const staying = cluster.nodes.filter(({ id }) => id !== gone.id)
    // It is asked to remove itself, and forwards that to the leader.
    assert.equal((await ask(gone, { path: '/remove', method: 'DELETE', body: { id: gone.id } })).status, 200)
    assert.equal((await ask(leading, { path: '/remove', method: 'DELETE', body: { id: gone.id } })).status, 200, 'removed already')
    const tellsSo = async (): Promise<void> => {
      await waitUntil({ what: `${gone.id} knows that it was removed`, deadlineMs: waitMsMax, everyMs: 50 }, async () => {
        const answer = await ask(gone, { path: '/readyz' })
        return answer.code === 'node_removed' ? true : undefined
      })
      for (const level of ['none', 'weak', 'linearizable']) {
        const answer = await ask(gone, { path: `/db/query?level=${level}`, body: ['SELECT 1'] })
        assert.deepEqual([answer.status, answer.code], [503, 'node_removed'])
      }
      assert.equal(storeReply.parse(JSON.parse((await ask(gone, { path: '/status?key=store' })).body)).standing, 'removed')
    }
    await tellsSo()
    assert.deepEqual(await gone.end('SIGTERM'), { code: 0, signal: null })
    gone.start()
    await waitUntil({ what: `${gone.id} answers`, deadlineMs: waitMsMax, everyMs: 50 }, async () => {
      const answer = await cluster.client(gone).send({ path: '/readyz?noleader' })
      return answer.kind === 'reply' ? true : undefined
    })
    await tellsSo()
    await gone.end('SIGTERM')

    const rows = await count(leading, 'linearizable')
    const fresh = await newcomer('n4', [throughApis(), renderFlag('raft-remove-shutdown', true)])
    await waitUntil({ what: 'n4 is a voter', deadlineMs: waitMsMax, everyMs: 100 }, async () =>
      (await voterIds(leading)).includes('n4') ? true : undefined,
    )
    assert.deepEqual(await voterIds(leading), [...staying.map(({ id }) => id), 'n4'])
    await waitUntil({ what: 'n4 has all rows', deadlineMs: waitMsMax, everyMs: 50 }, async () =>
      (await count(fresh, 'none')) === rows ? true : undefined,
    )
    assert.match(fresh.log(), /snapshot/, 'the log no longer held what it lacked')
  })

  test('-raft-remove-shutdown: a member that is removed ends by itself', async () => {
    const [, , third] = [...cluster.nodes.filter(({ isRunning }) => isRunning), ...newcomers]
    assert.equal(third?.id, 'n4')
    const running = cluster.nodes.filter(({ isRunning }) => isRunning)
    assert.equal((await ask(await leader(running), { path: '/remove', method: 'DELETE', body: { id: 'n4' } })).status, 200)
    await waitUntil({ what: 'n4 ends', deadlineMs: waitMsMax, everyMs: 50 }, async () => (third.isRunning ? undefined : true))
    assert.match(third.log(), /"node stopped"/)
  })

  test('a read replica finds the cluster in DNS, follows without a vote, and leaves on SIGTERM when it should', async () => {
    const running = cluster.nodes.filter(({ isRunning }) => isRunning)
    const leading = await leader(running)
    const flags = [renderFlag('raft-non-voter', true), renderFlag('raft-cluster-remove-shutdown', true)]
    const replica = await newcomer('n5', [...(await throughDns(leading)), ...flags])
    assert.deepEqual(
      (await members(leading)).filter(({ id }) => id === 'n5').map(({ voter }) => voter),
      [false],
    )
    assert.equal((await write(replica, "INSERT INTO foo(name) VALUES('through the replica')")).status, 200)
    const rows = await count(leading, 'linearizable')
    await waitUntil({ what: 'n5 has all rows', deadlineMs: waitMsMax, everyMs: 50 }, async () =>
      (await count(replica, 'none')) === rows ? true : undefined,
    )
    assert.deepEqual(await replica.end('SIGTERM'), { code: 0, signal: null })
    assert.ok(!(await members(leading)).some(({ id }) => id === 'n5'))
  })

  // That it ends in time whatever the others do: node/lifecycle/orderly-stop.test.ts, on a clock of its own.
  test('a leader that gets SIGTERM answers everything that was sent to it, hands over, and ends with 0', async (context) => {
    const running = cluster.nodes.filter(({ isRunning }) => isRunning)
    const leading = await leader(running)
    const client = cluster.client(leading, admin, { connectionsMax: 32 })
    const insert = { path: '/db/execute', body: ["INSERT INTO foo(name) VALUES('last')"], timeoutMs: waitMsMax } as const
    // The connections stand before the signal comes.
    await Promise.all(Array.from({ length: 32 }, () => client.send(insert)))
    const answers = Array.from({ length: 32 }, () => client.send(insert))
    const startedMs = performance.now()
    const ended = await leading.end('SIGTERM')
    assert.deepEqual(ended, { code: 0, signal: null })
    const tookMs = performance.now() - startedMs
    context.diagnostic(`ended ${Math.round(tookMs)} ms after SIGTERM`)
    for (const answer of await Promise.all(answers)) {
      assert.ok(answer.kind === 'reply', JSON.stringify(answer))
      // What a busy machine has not carried out when the time for it is over is answered, too, as a refusal.
      assert.ok(answer.status === 200 || (tookMs > finishMsMax && answer.code !== undefined), JSON.stringify(answer))
    }
    leading.start()
    await cluster.whenReady(running)
  })

  test('the leader can be removed; who asked gets its answer, and the last voter stays', async () => {
    const running = cluster.nodes.filter(({ isRunning }) => isRunning)
    const leading = await leader(running)
    const other = running.find(({ id }) => id !== leading.id)
    assert.ok(other)
    const rows = await count(other, 'linearizable')
    assert.equal((await ask(other, { path: '/remove', method: 'DELETE', body: { id: leading.id } })).status, 200)
    await waitUntil({ what: 'the removed leader says so', deadlineMs: waitMsMax, everyMs: 50 }, async () =>
      (await ask(leading, { path: '/readyz' })).code === 'node_removed' ? true : undefined,
    )
    assert.equal(await count(other, 'linearizable'), rows)
    const last = await ask(other, { path: '/remove', method: 'DELETE', body: { id: other.id } })
    assert.deepEqual([last.status, last.code], [500, 'last_voter'])
  })
})
