import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const run = (...args: readonly string[]) => {
  // Nothing of the environment: no kubeconfig may be found.
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, '..', 'main.ts'), ...args], {
    encoding: 'utf8',
    env: { HOME: '/nonexistent' },
    timeout: 240_000,
  })
  return { status, stdout, stderr }
}

test('-help lists every flag and ends', () => {
  const { status, stdout } = run('-help')
  assert.equal(status, 0)
  for (const flag of ['-node-image', '-namespace', '-lease-namespace', '-metrics-addr', '-kubeconfig', '-log-level'])
    assert.ok(stdout.includes(`  ${flag}\n`), flag)
})

const refusals: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
  'an unknown flag, with the nearest known one': [['-node-imgae=x'], /unknown flag -node-imgae; did you mean -node-image\?/],
  'an argument that is no flag': [['-log-level=info', 'now'], /unexpected argument now/],
  'an address that is none': [['-metrics-addr=here'], /-metrics-addr: /],
  'a kubeconfig that is not there': [['-kubeconfig=/nonexistent/config'], /no usable kubeconfig: .*ENOENT/],
}
for (const [title, [args, message]] of Object.entries(refusals)) {
  test(`refused in one line: ${title}`, () => {
    const { status, stderr } = run(...args)
    assert.equal(status, 1)
    assert.match(stderr, message)
    assert.equal(stderr.trim().split('\n').length, 1, stderr)
  })
}
