// What both rqlite security documents print is run as it stands: the access file byte for byte, the openssl recipe, every command line. Replaced are the program's name, ports and
// paths; repaired is what printed-commands.ts lists, each with its reason.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { compareSync, hashSync } from 'bcryptjs'
import { freePorts } from '../apiserver/free-ports.ts'
import { waitUntil } from '../apiserver/wait-until.ts'
import { ApiClient, resultsOf } from '../processes/api-client.ts'
import { NodeProcess } from '../processes/node-process.ts'
import { change, printed, repairs, words } from './printed-commands.ts'
import type { Change } from './printed-commands.ts'

const documentFile = join(import.meta.dirname, 'config.json')

const certificateFiles = [
  ['server.crt', 'key.pem'],
  ['node.crt', 'node-key.pem'],
] as const

// The documents' own recipe, once for both: a 4096-bit RSA key takes seconds.
const recipeFolder = mkdtempSync(join(tmpdir(), 'securesql-recipe-'))
before(() => {
  for (const [cert, key] of certificateFiles) {
    const recipe = change(printed.certificate, [
      { from: 'key.pem', to: key, why: 'the examples name four files' },
      { from: 'cert.pem', to: cert, why: 'the examples name four files' },
    ])
    const [program = '', ...argv] = words(recipe)
    // The recipe asks for a name on the terminal; this is the answer.
    execFileSync(program, [...argv, '-subj', '/CN=localhost'], { cwd: recipeFolder, stdio: 'ignore' })
  }
})
after(() => rmSync(recipeFolder, { recursive: true }))

/** A folder with the files of the documents, made by the documents' own recipe, and the ports that stand for theirs. */
class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'securesql-documents-'))
  readonly #ports: ReadonlyMap<string, number>
  readonly #nodes: NodeProcess[] = []
  readonly #clients: ApiClient[] = []

  private constructor(ports: readonly number[]) {
    // The ports that the documents name, and 4005 and 4006 for a third node that they do not have.
    this.#ports = new Map(['4001', '4002', '4003', '4004', '4005', '4006'].map((named, position) => [named, ports[position] ?? 0]))
  }

  static async open(): Promise<Stage> {
    const stage = new Stage(await freePorts(6))
    for (const file of certificateFiles.flat()) copyFileSync(join(recipeFolder, file), join(stage.folder, file))
    return stage
  }

  port(named: string): number {
    const port = this.#ports.get(named)
    assert.ok(port !== undefined)
    return port
  }

  /** Ports and paths replaced; a node's command gets what rqlite's defaults would give it where it names no address. */
  replaced(command: string): readonly string[] {
    const withPorts = command.replaceAll(/(?<=:)400[1-6]\b/g, (named) => String(this.port(named)))
    return words(withPorts.replaceAll('~/', `${this.folder}/`))
  }

  /** Starts a node from a printed command. */
  start(id: string, command: string, changes: readonly Change[]): NodeProcess {
    const [program, ...printedArguments] = this.replaced(change(command, changes))
    assert.equal(program, 'rqlited')
    const [api, raft] = id === '1' ? ['4001', '4002'] : id === '2' ? ['4003', '4004'] : ['4005', '4006']
    // The first node's command relies on the default addresses, which other tests on this machine may hold.
    const defaults = command.includes('-http-addr')
      ? []
      : ['-http-addr', `localhost:${this.port(api)}`, '-raft-addr', `localhost:${this.port(raft)}`]
    const node = new NodeProcess({
      id,
      apiPort: this.port(api),
      arguments: [...defaults, ...printedArguments],
      logFile: join(this.folder, `${id}.log`),
      cwd: this.folder,
    })
    this.#nodes.push(node)
    node.start()
    return node
  }

  client(node: NodeProcess, username?: string, password?: string): ApiClient {
    const ca = readFileSync(join(this.folder, 'server.crt'), 'utf8')
    const client = new ApiClient({
      host: 'localhost',
      port: node.apiPort,
      ca,
      ...(username === undefined ? {} : { username, password: password ?? '' }),
    })
    this.#clients.push(client)
    return client
  }

  /** Anonymous may ask: the documents give `*` the permission ready. */
  async ready(node: NodeProcess): Promise<void> {
    const client = this.client(node)
    await waitUntil({ what: `node ${node.id} is ready`, deadlineMs: timeoutMs, everyMs: 100 }, async () => {
      assert.ok(node.isRunning, `node ${node.id} ended:\n${node.logTail()}`)
      const answer = await client.send({ path: '/readyz' })
      return answer.kind === 'reply' && answer.status === 200 ? true : undefined
    })
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close()
    await Promise.all(this.#nodes.filter((node) => node.isRunning).map((node) => node.end('SIGKILL')))
    rmSync(this.folder, { recursive: true, maxRetries: 20, retryDelay: 50 })
  }
}

/** It only ends what hangs: the machine may be loaded. */
const timeoutMs = 180_000

async function body(client: ApiClient, path: string, sent?: unknown): Promise<string> {
  const answer = await client.send({ path, timeoutMs, ...(sent === undefined ? {} : { body: sent }) })
  assert.equal(answer.kind, 'reply')
  assert.equal(answer.kind === 'reply' ? answer.status : 0, 200, JSON.stringify(answer))
  return answer.kind === 'reply' ? answer.body : ''
}

async function status(client: ApiClient, path: string, sent?: unknown): Promise<number> {
  const answer = await client.send({ path, timeoutMs, ...(sent === undefined ? {} : { body: sent }) })
  return answer.kind === 'reply' ? answer.status : 0
}

/** The printed curl command, run by curl itself. The certificate is named: nobody else vouches for it. */
function queryAsMary(stage: Stage): unknown {
  const [program = '', ...argv] = stage.replaced(printed.query)
  assert.equal(program, 'curl')
  return JSON.parse(execFileSync('curl', ['-sS', '--cacert', join(stage.folder, 'server.crt'), ...argv], { encoding: 'utf8' }))
}

async function untilVoters(client: ApiClient, count: number): Promise<void> {
  await waitUntil({ what: `${count} voters`, deadlineMs: timeoutMs, everyMs: 100 }, async () => {
    const answer = await client.send({ path: '/nodes', timeoutMs })
    // While nobody leads.
    if (answer.kind !== 'reply' || answer.status !== 200) return undefined
    const nodes = JSON.parse(answer.body) as Record<string, { voter: boolean; reachable: boolean }>
    return Object.values(nodes).filter(({ voter, reachable }) => voter && reachable).length === count ? true : undefined
  })
}

const noCurl = ['/usr/bin/curl', '/bin/curl', '/usr/local/bin/curl', '/opt/homebrew/bin/curl'].some((path) => existsSync(path))
  ? false
  : 'curl is not installed'

describe('the current document', () => {
  let stage: Stage
  let first: NodeProcess
  let second: NodeProcess
  before(async () => {
    stage = await Stage.open()
    copyFileSync(documentFile, join(stage.folder, 'config.json'))
  })
  after(() => stage.close())

  test('its first node starts from its command line and its access file, byte for byte', async () => {
    first = stage.start('1', printed.current.firstNode, [repairs.ownNodeCa])
    await stage.ready(first)
    const bob = stage.client(first, 'bob', 'secret1')
    assert.match(
      await body(bob, '/db/execute', ['CREATE TABLE foo (id INTEGER PRIMARY KEY, name TEXT)', "INSERT INTO foo(name) VALUES('fiona')"]),
      /"rows_affected":1/,
    )
  })

  test('its users may do what it says, and nothing else', async () => {
    const insert = ["INSERT INTO foo(name) VALUES('x')"]
    assert.equal(await status(stage.client(first, 'mary', 'secret2'), '/db/execute', insert), 401)
    assert.equal(await status(stage.client(first, 'mary', 'secret1'), '/db/query?q=SELECT+1'), 401)
    assert.equal(await status(stage.client(first), '/db/query?q=SELECT+1'), 401)
    assert.equal(await status(stage.client(first), '/status'), 200)
    assert.equal(await status(stage.client(first, 'mary', 'secret2'), '/db/query?q=SELECT+1'), 200)
  })

  test('its second node joins with the permission of bob, and answers as the first', async () => {
    second = stage.start('2', printed.current.secondNode, [repairs.missingBackslash, repairs.ownNodeCa])
    await stage.ready(second)
    await untilVoters(stage.client(first, 'bob', 'secret1'), 2)
    const bob = stage.client(second, 'bob', 'secret1')
    assert.match(await body(bob, '/db/execute', ["INSERT INTO foo(name) VALUES('declan')"]), /"rows_affected":1/)
    const answer = await stage
      .client(second, 'mary', 'secret2')
      .send({ path: '/db/query?level=linearizable', body: ['SELECT name FROM foo ORDER BY id'], timeoutMs })
    assert.deepEqual(answer.kind === 'reply' ? resultsOf(answer)?.results[0]?.values : answer, [['fiona'], ['declan']])
  })

  test('its curl command, as mary, gets the rows, pretty and with timings', { skip: noCurl }, () => {
    const answer = queryAsMary(stage) as { results: { values: unknown[]; time: number }[]; time: number }
    assert.deepEqual(answer.results[0]?.values, [
      [1, 'fiona'],
      [2, 'declan'],
    ])
    assert.ok(answer.time > 0 && (answer.results[0]?.time ?? 0) > 0)
  })

  test('a node that shows nobody’s permission is not let in, and ends', async () => {
    const nobody = stage.start('3', printed.current.secondNode, [
      repairs.missingBackslash,
      repairs.ownNodeCa,
      { from: ' -join-as bob', to: ' -join-attempts 1', why: 'the attack: no user vouches for this node' },
      { from: 'localhost:4003', to: 'localhost:4005', why: 'a third node' },
      { from: ':4004', to: ':4006', why: 'a third node' },
      { from: 'node.2', to: 'node.3', why: 'a third node' },
    ])
    const ended = await waitUntil({ what: 'the node ends', deadlineMs: timeoutMs, everyMs: 100 }, async () =>
      nobody.isRunning ? undefined : true,
    )
    assert.ok(ended)
    await untilVoters(stage.client(first, 'bob', 'secret1'), 2)
  })

  test('a node says that a certificate which all nodes share is weaker', () => {
    assert.match(first.log() + second.log(), /all nodes show the same certificate/)
    assert.doesNotMatch(first.log() + second.log(), /secret[12]/)
  })
})

describe('the older document', () => {
  let stage: Stage
  let first: NodeProcess
  before(async () => {
    stage = await Stage.open()
    // Its JSON lost its brackets, and its hash for mary is not that of secret2: the brackets are those of the current document, the hash is made here.
    const text = readFileSync(documentFile, 'utf8').replace('"password": "secret2"', () => `"password": "${hashSync('secret2', 10)}"`)
    writeFileSync(join(stage.folder, 'config.json'), text)
  })
  after(() => stage.close())

  test('its sample hash is not the hash of secret2, which is why another one is used here', () => {
    assert.equal(compareSync('secret2', printed.hashOfMary), false)
  })

  test('its first node starts with -node-encrypt and -node-no-verify, with a warning for each', async () => {
    first = stage.start('1', printed.older.firstNode, [repairs.firstDataDirectory])
    await stage.ready(first)
    assert.match(first.log(), /-node-encrypt is an old word/)
    assert.match(first.log(), /-node-no-verify/)
    await body(stage.client(first, 'bob', 'secret1'), '/db/execute', [
      'CREATE TABLE foo (id INTEGER PRIMARY KEY, name TEXT)',
      "INSERT INTO foo(name) VALUES('fiona')",
    ])
  })

  test('a bcrypt hash in the access file lets the password in, and never the hash itself', async () => {
    const hash = (JSON.parse(readFileSync(join(stage.folder, 'config.json'), 'utf8')) as { password: string }[])[1]?.password
    assert.equal(await status(stage.client(first, 'mary', 'secret2'), '/db/query?q=SELECT+1'), 200)
    assert.equal(await status(stage.client(first, 'mary', hash), '/db/query?q=SELECT+1'), 401)
  })

  test('its second node asks the API that -join names, with the password in the URL, and warns loudly without repeating it', async () => {
    const second = stage.start('2', printed.older.secondNode, [repairs.secondDataDirectory, repairs.unverifiedApi])
    await stage.ready(second)
    await untilVoters(stage.client(first, 'bob', 'secret1'), 2)
    assert.match(second.log(), /A PASSWORD STANDS IN THE ARGUMENTS/)
    assert.doesNotMatch(second.log(), /secret1/)
  })

  test('its form with -join-as asks the same API, and no password stands in the arguments', async () => {
    const third = stage.start('3', printed.older.joinAs, [
      repairs.thirdDataDirectory,
      repairs.unverifiedApi,
      { from: 'localhost:4003', to: 'localhost:4005', why: 'the document starts it in place of the second node; here it is a third' },
      { from: ':4004', to: ':4006', why: 'the document starts it in place of the second node; here it is a third' },
    ])
    await stage.ready(third)
    await untilVoters(stage.client(first, 'bob', 'secret1'), 3)
    assert.doesNotMatch(third.log(), /A PASSWORD STANDS IN THE ARGUMENTS|secret1/)
  })

  test('its curl command, as mary, gets the rows', { skip: noCurl }, () => {
    const answer = queryAsMary(stage) as { results: { values: unknown[] }[] }
    assert.deepEqual(answer.results[0]?.values, [[1, 'fiona']])
  })
})
