// For tests: which processes a node has started, as `ps` tells. Those that have ended and are not waited for yet are none.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'

/** Of a node, or of a test that is one: the process that starts the others. */
export function starterOf(node: number): number | undefined {
  const [starter, ...more] = childrenOf(node, 'starter-process')
  assert.equal(more.length, 0, 'a node has one at most')
  return starter
}

/** By its starter. `program`: what its command line holds. */
export function startedBy(node: number, program: string): readonly number[] {
  const starter = starterOf(node)
  return starter === undefined ? [] : childrenOf(starter, program)
}

export function childrenOf(parent: number, program: string): readonly number[] {
  return processes(program).flatMap(({ pid, parentPid }) => (parentPid === parent ? [pid] : []))
}

/** Of whatever parent. */
export function processes(program: string): readonly { readonly pid: number; readonly parentPid: number }[] {
  return ps(['-A', '-o', 'pid=,ppid=,args='])
    .split('\n')
    .flatMap((line) => {
      const [pid, parent, ...rest] = line.trim().split(/\s+/)
      return rest.join(' ').includes(program) ? [{ pid: Number(pid), parentPid: Number(parent) }] : []
    })
}

export function ps(options: readonly string[]): string {
  return spawnSync('ps', options, { encoding: 'utf8' }).stdout
}
