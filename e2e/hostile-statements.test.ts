// Statements that are meant to hurt, sent to real processes, one of them alone and three together: each is answered in time, as an error or as what it is, while another user's
// small reads and writes are answered too, and nobody loses the leader.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { nodeStatus } from '../contract/admin-api.ts'
import { resultsOf, type ApiReply } from './processes/api-client.ts'
import { ClusterOfProcesses, patientTimers } from './processes/cluster-of-processes.ts'
import type { NodeProcess } from './processes/node-process.ts'

const mallory = { name: 'mallory', password: 'means no good whatever', permissions: ['query', 'execute'] as const }
/** It only ends what hangs: the machine may be loaded. */
const patienceMs = 180_000
/** From statement to statement of one kind, longer where the machine has answered too few others meanwhile: what waits for their end is never answered before it. */
const limitsMs = [400, 1_600, 6_400, 25_600]

/** What a write may ask for. */
const writeLimitMsMax = 10_000

const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)'
const long = 50_000

/** A text, or one with parameters. */
type Text = string | readonly [string, ...(string | number)[]]

const endlessReads: Readonly<Record<string, Text>> = {
  'a recursion without end': `${many} SELECT count(*) FROM n`,
  'cross joins': 'SELECT count(*) FROM w a, w b, w c, w d, w e',
  'a sort without end': `${many} SELECT i FROM n ORDER BY -i`,
  'growing by ||': `${many}, g(v) AS (SELECT 'x' UNION ALL SELECT v || v FROM g) SELECT length(v) FROM g`,
  'group_concat of everything': `${many} SELECT length(group_concat(i)) FROM n`,
  'json_group_array of everything': `${many} SELECT length(json_group_array(i)) FROM n`,
  'a random blob': ['SELECT length(randomblob(?))', 500_000_000],
  'a wide printf': ["SELECT length(printf('%.*c', ?, 'x'))", 500_000_000],
  'replace that multiplies': ["SELECT length(replace(printf('%.*c', ?, 'x'), 'x', printf('%.*c', ?, 'y')))", 20_000, 20_000],
  'GLOB with many stars': [`${many} SELECT count(*) FROM n WHERE printf('%.*c', ? + i % 2, 'a') GLOB ?`, long, `${'*a'.repeat(20)}b`],
  'LIKE with many percent signs': [
    `${many} SELECT count(*) FROM n WHERE printf('%.*c', ? + i % 2, 'a') LIKE ?`,
    long,
    `${'%a'.repeat(20)}b`,
  ],
  'views of views': `${many} SELECT count(*) FROM n, v7 a, v7 b, v7 c`,
}

const endlessWrites: Readonly<Record<string, Text>> = {
  'rows without end': `${many} INSERT INTO t SELECT i FROM n`,
  'a recursion that makes nothing': `${many} INSERT INTO t SELECT i FROM n WHERE i < 0`,
  'a join': 'INSERT INTO t SELECT count(*) FROM w a, w b, w c, w d, w e',
  'triggers that call each other': 'INSERT INTO chain VALUES (1)',
  'an update with growing values': ["UPDATE w SET x = replace(printf('%.*c', ?, 'x'), 'x', printf('%.*c', ?, 'y'))", 20_000, 20_000],
  'a table made of everything': `CREATE TABLE everything AS ${many} SELECT i FROM n`,
  'a value of views': `INSERT INTO t ${many} SELECT a.x FROM n, v7 a, v7 b`,
  'triggers that multiply': 'INSERT INTO m0 VALUES (1)',
  'a subquery for each row of a large table': 'UPDATE large SET y = (SELECT count(*) FROM large b WHERE b.x < large.x)',
  'a delete that cascades row by row through a table without an index': 'DELETE FROM parents',
  'a large value': ['INSERT INTO t VALUES (hex(zeroblob(?)))', 400_000_000],
  'growing by ||': `WITH RECURSIVE g(v) AS (SELECT 'x' UNION ALL SELECT v || v FROM g) INSERT INTO t SELECT v FROM g`,
  'LIKE with many percent signs': ["UPDATE large SET y = 1 WHERE printf('%.*c', ?, 'a') || id LIKE ?", long, `${'%a'.repeat(20)}b`],
  'a generated column': 'CREATE TABLE generated (a, b AS (hex(zeroblob(a))) STORED); INSERT INTO generated (a) VALUES (400000000)',
  'a giant index': 'CREATE INDEX giant ON large (hex(zeroblob(50000)) || x)',
  'a full-text table of everything': `CREATE VIRTUAL TABLE f USING fts5(v); INSERT INTO f ${many} SELECT i FROM n`,
  'rows returned without end': 'UPDATE large SET y = 1 RETURNING hex(zeroblob(100000))',
  'the same row again and again': `${many} INSERT INTO small SELECT 1, i FROM n WHERE true ON CONFLICT (id) DO UPDATE SET v = excluded.v`,
}

/** They take their time, and are carried out, or are refused at the limit of processor time where the machine is slow. */
const largeWrites: Readonly<Record<string, Text>> = {
  'an index on a large table': 'CREATE INDEX i ON large (y, x)',
  'all indexes anew': 'REINDEX',
  'all statistics': 'ANALYZE',
  'each row of a large table': "UPDATE large SET y = y || '!'",
  'a column less': 'ALTER TABLE large DROP COLUMN z',
  'half of the rows': 'DELETE FROM large WHERE id % 2',
}

/** They end, one way or the other, and nothing else is asked of them. */
const heavy: Readonly<Record<string, Text>> = {
  'a long list': `SELECT count(*) FROM w WHERE x IN (${Array.from({ length: 50_000 }, (_, n) => n).join(',')})`,
  'more tokens than are read': `SELECT ${'1,'.repeat(200_000)} 1`,
  'deep nesting': `SELECT ${'('.repeat(5_000)}1${')'.repeat(5_000)}`,
  'a deep expression': `SELECT ${'1+'.repeat(5_000)}1`,
  'many unions': Array.from({ length: 600 }, () => 'SELECT 1').join(' UNION '),
  'a wide answer': `SELECT a.*, b.* FROM w a, w b`,
}

for (const nodes of [1, 3])
  describe(`hostile statements, ${nodes} node${nodes === 1 ? '' : 's'}`, () => {
    let cluster: ClusterOfProcesses
    let leader: NodeProcess
    let follower: NodeProcess
    before(async () => {
      cluster = await ClusterOfProcesses.start({ nodes, users: [mallory], flags: ['-fk', ...(nodes === 1 ? [] : patientTimers)] })
      leader = await cluster.whoLeads()
      follower = cluster.nodes.find((node) => node !== leader) ?? leader
      const views = Array.from({ length: 7 }, (_, n) => `CREATE VIEW v${n + 1} AS SELECT a.x FROM v${n} a, v${n} b LIMIT 5`)
      const made = await cluster.client(leader).send({
        path: '/db/execute?timeout=60s&db_timeout=10s',
        timeoutMs: patienceMs,
        body: [
          'CREATE TABLE t (x)',
          'CREATE TABLE small (id INTEGER PRIMARY KEY, v)',
          'CREATE TABLE w (x)',
          'INSERT INTO w WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) SELECT i FROM n',
          'CREATE TABLE chain (x)',
          `CREATE TRIGGER calls AFTER INSERT ON chain BEGIN INSERT INTO t ${many} SELECT i FROM n; END`,
          'CREATE VIEW v0 AS SELECT 1 AS x',
          ...views,
          'CREATE TABLE large (id INTEGER PRIMARY KEY, x, y, z)',
          `INSERT INTO large (x, y) ${many.replace('FROM n)', 'FROM n LIMIT 50000)')} SELECT i * 7919 % 50021, 'row ' || i FROM n`,
          'CREATE TABLE parents (id INTEGER PRIMARY KEY)',
          'CREATE TABLE children (id INTEGER PRIMARY KEY, parent REFERENCES parents ON DELETE CASCADE)',
          'INSERT INTO parents SELECT id FROM large WHERE id <= 20000',
          'INSERT INTO children SELECT id, id FROM parents',
          ...Array.from({ length: 8 }, (_, n) => `CREATE TABLE m${n} (x)`),
          ...Array.from(
            { length: 7 },
            (_, n) => `CREATE TRIGGER call${n} AFTER INSERT ON m${n} BEGIN INSERT INTO m${n + 1} SELECT 1 FROM large LIMIT 40; END`,
          ),
        ],
      })
      assert.ok(made.kind === 'reply' && !made.body.includes('error'), JSON.stringify(made))
    })
    after(async () => {
      await cluster?.close()
    })

    const send = async (node: NodeProcess, path: string, text: Text): Promise<ApiReply> => {
      const answer = await cluster.client(node, mallory).send({ path, body: [text], timeoutMs: patienceMs })
      assert.ok(answer.kind === 'reply', `${path}: ${JSON.stringify(answer)}`)
      return answer
    }

    const term = async (): Promise<number> => {
      const answer = await cluster.client(leader).send({ path: '/status', timeoutMs: patienceMs })
      assert.ok(answer.kind === 'reply')
      return nodeStatus.parse(JSON.parse(answer.body)).store.raft.term
    }

    /** Small reads and writes of another user, one after the other, as long as `work` lasts; at least five. */
    const beside = async (work: Promise<unknown>): Promise<number> => {
      const state = { isOver: false }
      let answered = 0
      const over = work.finally(() => (state.isOver = true))
      over.catch(() => {}) // awaited below
      const client = cluster.client(follower)
      for (let n = 0; !state.isOver; n += 1) {
        const written = await client.send({
          path: '/db/execute?timeout=120s',
          body: [['INSERT INTO small (v) VALUES (?)', n]],
          timeoutMs: patienceMs,
        })
        const read = await client.send({
          path: '/db/query?level=linearizable&timeout=120s&linearizable_timeout=120s',
          body: [['SELECT v FROM small WHERE id = ?', 1]],
          timeoutMs: patienceMs,
        })
        for (const answer of [written, read])
          assert.ok(answer.kind === 'reply' && answer.status === 200 && !answer.body.includes('error'), JSON.stringify(answer))
        if (!state.isOver) answered += 2
      }
      await over
      return answered
    }

    /** As many answers as statements, and as many again, while those run. */
    const answeredBeside = async (
      statements: Readonly<Record<string, Text>>,
      ask: (statement: readonly [name: string, text: Text], limitMs: number) => readonly Promise<void>[],
    ): Promise<void> => {
      const wanted = 2 * Object.keys(statements).length
      const counts: number[] = []
      for (const limitMs of limitsMs) {
        let answered = 0
        for (const statement of Object.entries(statements)) answered += await beside(Promise.all(ask(statement, limitMs)))
        counts.push(answered)
        if (answered >= wanted) return
      }
      assert.fail(`${counts.join(', ')} answers beside them, and not ${wanted}`)
    }

    const isEnded = ({ code }: ApiReply): boolean =>
      code === 'statement_timeout' || code === 'statement_out_of_memory' || code === 'write_too_large'

    test('reads: each is ended at every level, on the leader and through a follower, and others are answered meanwhile', async () => {
      const before = await term()
      await answeredBeside(endlessReads, ([name, text], limitMs) => {
        const levels = nodes === 1 ? (['weak'] as const) : (['none', 'weak', 'linearizable'] as const)
        return levels.map(async (level, n) => {
          const reply = await send(n === 1 ? follower : leader, `/db/query?level=${level}&timeout=120s&db_timeout=${limitMs}ms`, text)
          assert.ok(isEnded(reply), `${name}, ${level}: ${reply.code} ${reply.body.slice(0, 200)}`)
        })
      })
      assert.equal(await term(), before, 'nobody stood for election')
    })

    test('writes: each is refused before it is in the log, and others are applied meanwhile', async () => {
      const before = await term()
      await answeredBeside(endlessWrites, ([name, text], limitMs) =>
        [...new Set([leader, follower])].map(async (node) => {
          const reply = await send(node, `/db/execute?db_timeout=${Math.min(limitMs, writeLimitMsMax)}ms&timeout=120s`, text)
          // A machine that is very busy may have no process for it in time: that is told as well, and nothing was proposed.
          const isRefused = isEnded(reply) || reply.code === 'rehearsal_unavailable'
          assert.ok(isRefused, `${name}: ${reply.code} ${reply.body.slice(0, 200)}`)
        }),
      )
      assert.equal(await term(), before, 'nobody stood for election')
      const counts = ['t', 'chain', 'parents', 'children', 'm1'].map((table) => `SELECT count(*) FROM ${table}`)
      const left = await cluster.client(leader).send({ path: '/db/query?level=linearizable', body: counts, timeoutMs: patienceMs })
      assert.ok(left.kind === 'reply')
      assert.deepEqual(
        resultsOf(left)?.results.map(({ values }) => values?.[0]?.[0]),
        [0, 0, 20_000, 20_000, 0],
      )
    })

    test('large ones are carried out, or refused at their limit', async () => {
      const before = await term()
      for (const [name, text] of Object.entries(largeWrites)) {
        let asked = send(leader, '/db/execute?timeout=120s', text)
        await beside(asked)
        // As above: a very busy machine has no process for it in time.
        for (let again = 0; again < 5 && (await asked).code === 'rehearsal_unavailable'; again += 1)
          asked = send(leader, '/db/execute?timeout=120s', text)
        const { status, code, body } = await asked
        assert.ok(status === 200 && (code === 'statement_timeout' || !body.includes('error')), `${name}: ${code} ${body.slice(0, 200)}`)
      }
      assert.equal(await term(), before, 'nobody stood for election')
    })

    test('heavy ones are answered, and the node is as it was', async () => {
      const before = await term()
      for (const text of Object.values(heavy)) {
        await beside(send(leader, '/db/query?db_timeout=5s', text))
        await beside(send(leader, '/db/execute?db_timeout=5s', text))
      }
      assert.equal(await term(), before, 'nobody stood for election')
      const alive = await send(leader, '/db/query', 'SELECT count(*) FROM w WHERE x > 0')
      assert.equal(resultsOf(alive)?.results[0]?.values?.[0]?.[0], 500)
    })
  })
