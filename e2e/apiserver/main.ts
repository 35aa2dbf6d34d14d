// `npm run e2e:apiserver`: builds and starts a real control plane, runs every `*.suite.ts` beside this file against it, and takes it down again.
// Arguments are names of suites (`crd`, `chart`); without any all of them run.
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { runNodeTests } from '../node-runner.ts'
import { startControlPlane, type ControlPlane } from './control-plane.ts'
import { buildPrograms, type Programs } from './programs.ts'
import { controlPlaneFileVariable, type ControlPlaneFile } from './suite-control-plane.ts'

// More than the longest of the suites' own deadlines; it only ends what hangs.
const testTimeoutMs = 500_000
const say = (line: string): void => console.log(`e2e:apiserver: ${line}`)

const suites = chosenSuites(process.argv.slice(2))
process.exitCode = await run(suites).catch((problem: unknown) => {
  say(problem instanceof Error ? problem.message : String(problem))
  return 1
})

function chosenSuites(names: readonly string[]): readonly string[] {
  const all = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.suite.ts'))
  const chosen = names.length === 0 ? all : names.map((name) => `${name}.suite.ts`)
  const unknown = chosen.filter((file) => !all.includes(file))
  if (unknown.length > 0) {
    say(`no such suite: ${unknown.join(', ')} (there are ${all.join(', ')})`)
    process.exit(2)
  }
  return chosen.map((file) => join(import.meta.dirname, file))
}

async function run(suiteFiles: readonly string[]): Promise<number> {
  const cacheDir = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'securesql', 'programs')
  const programs = await buildPrograms({ cacheDir, environment: process.env, say })
  const startedMs = performance.now()
  const controlPlane = await startControlPlane(programs)
  say(`control plane ready in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
  try {
    return await runSuites(suiteFiles, programs, controlPlane)
  } finally {
    await controlPlane.close()
    say('control plane ended, nothing left')
  }
}

async function runSuites(suiteFiles: readonly string[], programs: Programs, controlPlane: ControlPlane): Promise<number> {
  const { folder, adminKubeconfig, auditLog, server, authorityFile } = controlPlane
  const content: ControlPlaneFile = {
    folder,
    adminKubeconfig,
    auditLog,
    server,
    authorityFile,
    kubectl: programs.kubectl,
    helm: programs.helm,
  }
  const file = join(folder, 'control-plane.json')
  await writeFile(file, JSON.stringify(content), { mode: 0o600 })
  // One suite at a time: they share a CRD and two cores.
  return await runNodeTests({
    arguments: ['--test-concurrency=1', `--test-timeout=${testTimeoutMs}`, ...suiteFiles],
    environment: { ...process.env, [controlPlaneFileVariable]: file, KUBECONFIG: adminKubeconfig },
    silentMsMax: testTimeoutMs + 60_000,
  })
}
