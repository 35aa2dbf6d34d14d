import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { makeTestCa, makeTestLeaf, type TestKeyPair } from '../node/peer/test-certificates.ts'
import { isPrivate, loadTlsFiles, WatchedTlsFiles, type TlsFilesProblem } from './tls-files.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'securesql-tls-files-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function write(path: string, pair: TestKeyPair, ca?: string): { certificate: string; key: string; ca?: string } {
  const paths = { certificate: join(path, 'tls.crt'), key: join(path, 'tls.key') }
  writeFileSync(paths.certificate, pair.certificate)
  writeFileSync(paths.key, pair.key, { mode: 0o600 })
  if (ca === undefined) return paths
  writeFileSync(join(path, 'ca.crt'), ca)
  return { ...paths, ca: join(path, 'ca.crt') }
}

const ca = makeTestCa()

test('a certificate, its key and a bundle of two CAs are read', (t) => {
  const loaded = loadTlsFiles(write(folder(t), makeTestLeaf(ca), `# two\n${ca.certificate}${makeTestCa('other').certificate}`))
  assert.equal(loaded.ok && loaded.value.caCertificates.length, 2)
  assert.equal(loaded.ok && loaded.value.leaf.subject, 'CN=node')
})

test('a key file that its group or others can read is refused', (t) => {
  const paths = write(folder(t), makeTestLeaf(ca))
  for (const mode of [0o644, 0o604, 0o660, 0o601]) {
    chmodSync(paths.key, mode)
    const loaded = loadTlsFiles(paths)
    assert.equal(!loaded.ok && loaded.problem.code, 'key_readable_by_others', mode.toString(8))
  }
})

test('the one exception is a Secret volume with fsGroup: root owns the file and one of our groups may read it', () => {
  const pod = { groups: [1000] }
  const cases: readonly [string, { mode: number; uid: number; gid: number }, boolean][] = [
    ['0440 root:ours', { mode: 0o100440, uid: 0, gid: 1000 }, true],
    ['0640 root:ours', { mode: 0o100640, uid: 0, gid: 1000 }, true],
    ['0440 root:another group', { mode: 0o100440, uid: 0, gid: 50 }, false],
    ['0440 ours:ours', { mode: 0o100440, uid: 1000, gid: 1000 }, false],
    ['0460 root:ours, writable', { mode: 0o100460, uid: 0, gid: 1000 }, false],
    ['0444 root:ours', { mode: 0o100444, uid: 0, gid: 1000 }, false],
    ['0600 ours', { mode: 0o100600, uid: 1000, gid: 1000 }, true],
  ]
  for (const [name, file, expected] of cases) assert.equal(isPrivate(file, pod), expected, name)
})

test('missing files, garbage and a key of another certificate each have their code', (t) => {
  const path = folder(t)
  const paths = write(path, makeTestLeaf(ca), ca.certificate)
  const code = (changed: object): string => {
    const loaded = loadTlsFiles({ ...paths, ...changed })
    return loaded.ok ? 'ok' : loaded.problem.code
  }
  writeFileSync(join(path, 'garbage'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', { mode: 0o600 })
  writeFileSync(join(path, 'other.key'), makeTestLeaf(ca).key, { mode: 0o600 })
  assert.equal(code({}), 'ok')
  assert.equal(code({ key: join(path, 'none') }), 'key_unreadable')
  assert.equal(code({ key: join(path, 'garbage') }), 'key_unreadable')
  assert.equal(code({ certificate: join(path, 'none') }), 'certificate_unreadable')
  assert.equal(code({ certificate: join(path, 'garbage') }), 'certificate_unreadable')
  assert.equal(code({ ca: join(path, 'none') }), 'ca_unreadable')
  assert.equal(code({ ca: join(path, 'garbage') }), 'ca_unreadable')
  assert.equal(code({ ca: paths.key }), 'ca_unreadable')
  assert.equal(code({ key: join(path, 'other.key') }), 'key_does_not_match')
})

test('a swap of the ..data link brings the new pair; a broken state is reported once and the last good pair stays', (t) => {
  const path = folder(t)
  const version = (name: string, pair: TestKeyPair): void => {
    mkdirSync(join(path, name))
    write(join(path, name), pair, ca.certificate)
    symlinkSync(name, join(path, '..data_tmp'))
    renameSync(join(path, '..data_tmp'), join(path, '..data'))
  }
  const [first, second, third] = [makeTestLeaf(ca), makeTestLeaf(ca), makeTestLeaf(ca)]
  version('v1', first)
  const paths = { certificate: join(path, '..data/tls.crt'), key: join(path, '..data/tls.key'), ca: join(path, '..data/ca.crt') }
  const initial = loadTlsFiles(paths)
  assert(initial.ok)
  let look: (() => void) | undefined
  const problems: TlsFilesProblem[] = []
  const seen: string[] = []
  const files = new WatchedTlsFiles({
    paths,
    initial: initial.value,
    every: (callback) => {
      look = callback
      return () => {}
    },
    onProblem: (problem) => problems.push(problem),
  })
  files.onChange((material) => seen.push(material.key))
  look?.()
  assert.deepEqual(seen, [])
  version('v2', second)
  look?.()
  look?.()
  assert.deepEqual(seen, [second.key])
  version('v3', { certificate: third.certificate, key: first.key })
  look?.()
  look?.()
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['key_does_not_match'],
  )
  assert.equal(files.current.key, second.key)
  version('v4', third)
  look?.()
  assert.deepEqual(seen, [second.key, third.key])
  files.close()
})
