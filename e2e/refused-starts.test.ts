// What a node is told wrongly, it says clearly, ends with exit code 1, and changes nothing.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { hashSync } from 'bcryptjs'
import { makeTestCa, makeTestLeaf } from '../node/peer/test-certificates.ts'
import { waitUntil } from './apiserver/wait-until.ts'
import { freePorts } from './apiserver/free-ports.ts'
import { NodeProcess } from './processes/node-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'securesql-refused-'))
after(() => rmSync(folder, { recursive: true }))
const program = join(import.meta.dirname, '..', 'node', 'main.ts')
const anyPort = ['-http-addr', '127.0.0.1:0', '-raft-addr', '127.0.0.1:0']
// It ends what hangs; a start that is refused takes a second.
const startMsMax = 240_000

function start(...argv: readonly string[]): { readonly code: number | null; readonly error: string; readonly output: string } {
  const { status, stderr, stdout } = spawnSync(process.execPath, [program, ...argv], {
    encoding: 'utf8',
    timeout: startMsMax,
    killSignal: 'SIGKILL',
  })
  return { code: status, error: stderr, output: stdout + stderr }
}

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

const pair = makeTestLeaf(makeTestCa())
const certificate = file('node.crt', pair.certificate)
const key = file('node.key', pair.key)
const otherKey = file('other.key', makeTestLeaf(makeTestCa()).key)
const openKey = file('open.key', pair.key, 0o644)

describe('a node that was told something wrong', () => {
  for (const [what, argv, message] of [
    ['an unknown flag', ['-htp-addr', 'localhost:1'], /-htp-addr is not a known flag: did you mean -http-addr\?/],
    ['a flag whose function comes later', ['-auto-backup', 'b.json'], /-auto-backup is not supported yet/],
    ['a key file that others can read', ['-http-cert', certificate, '-http-key', openKey], /key_readable_by_others/],
    ['a key file that is not there', ['-http-cert', certificate, '-http-key', join(folder, 'absent.key')], /key_unreadable/],
    ['a certificate that is none', ['-http-cert', key, '-http-key', key], /certificate/],
    ['an access file that is not JSON', ['-auth', file('broken.json', '[{')], /access_file_not_json/],
    [
      'an access entry without permissions',
      ['-auth', file('perms.json', '[{"username":"bob","password":"hunter2"}]')],
      /access_entry_without_permissions/,
    ],
    ['a node key of another certificate', ['-node-cert', certificate, '-node-key', otherKey], /key_does_not_match/],
    [
      '-join-as with a hash',
      [
        '-auth',
        file('hash.json', JSON.stringify([{ username: 'bob', password: hashSync('x', 4), perms: ['join'] }])),
        '-join',
        '127.0.0.1:1',
        '-join-as',
        'bob',
      ],
      /cleartext password/,
    ],
    [
      'a CA that is not there for the API asked to join',
      ['-http-ca-cert', join(folder, 'absent.crt'), '-join', 'https://127.0.0.1:1'],
      /ca_unreadable/,
    ],
  ] as const) {
    test(`${what} is named, and no data directory is made`, () => {
      const dataDir = join(folder, 'never')
      const { code, error, output } = start(...anyPort, ...argv, dataDir)
      assert.equal(code, 1, output)
      assert.match(error, message)
      assert.doesNotMatch(output, /hunter2|PRIVATE KEY/)
      assert.equal(existsSync(dataDir), false)
    })
  }

  test('an address in use is named', async () => {
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = holder.address() as AddressInfo
      const { code, error } = start('-http-addr', `127.0.0.1:${port}`, '-raft-addr', '127.0.0.1:0', join(folder, 'taken'))
      assert.equal(code, 1)
      assert.match(error, /address_in_use/)
      assert.equal(existsSync(join(folder, 'taken')), false)
    } finally {
      holder.close()
    }
  })

  test('a data directory that is a file is named', () => {
    const { code, error } = start(...anyPort, file('a-file', 'mine'))
    assert.equal(code, 1)
    assert.match(error, /data_dir_unusable/)
    assert.equal(readFileSync(join(folder, 'a-file'), 'utf8'), 'mine')
  })

  test('a data directory of another node, or one in use, is left alone', async () => {
    const dataDir = join(folder, 'of-n1')
    mkdirSync(dataDir)
    const [api = 0, raft = 0] = await freePorts(2)
    const argv = ['-http-addr', `127.0.0.1:${api}`, '-raft-addr', `127.0.0.1:${raft}`, '-node-id', 'n1', dataDir]
    const node = new NodeProcess({ id: 'n1', apiPort: api, arguments: argv, logFile: join(folder, 'n1.log') })
    node.start()
    try {
      await waitUntil({ what: 'n1 has made its files', deadlineMs: startMsMax, everyMs: 50 }, async () =>
        existsSync(join(dataDir, 'identity.json')) && existsSync(join(dataDir, 'db.sqlite')) ? true : undefined,
      )
      const busy = start(...anyPort, '-node-id', 'n1', dataDir)
      assert.equal(busy.code, 1, busy.output)
      assert.match(busy.error, /data_dir_locked/)
    } finally {
      await node.end('SIGTERM')
    }
    const identity = readFileSync(join(dataDir, 'identity.json'), 'utf8')
    const files = readdirSync(dataDir)
    const foreign = start(...anyPort, '-node-id', 'n2', dataDir)
    assert.equal(foreign.code, 1, foreign.output)
    assert.match(foreign.error, /data_dir_of_another_node/)
    assert.equal(readFileSync(join(dataDir, 'identity.json'), 'utf8'), identity)
    assert.deepEqual(readdirSync(dataDir), files)
  })
})
