// `node e2e/images/main.ts`: builds both images of the Dockerfile without a registry, starts each once, and asks it something. Needs root and Debian.
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ensureBaseImage } from './base-image.ts'
import { buildahWith } from './buildah.ts'
import { ensureTools } from './debian-tools.ts'
import { imageChecks } from './image-checks.ts'
import { buildTarget, type Target } from './target-image.ts'

const root = join(import.meta.dirname, '..', '..')
const say = (line: string): void => console.log(`e2e:images: ${line}`)

process.exitCode = await run().catch((problem: unknown) => {
  say(problem instanceof Error ? problem.message : String(problem))
  return 1
})

async function run(): Promise<number> {
  const environment = process.env
  await ensureTools({ environment, say })
  const storage = join(environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'securesql', 'images')
  const buildah = buildahWith(storage, environment)
  const nodeProgram = join(root, 'node_modules', 'node', 'bin', 'node')
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { devDependencies: { node: string } }
  await ensureBaseImage({ buildah, nodeProgram, nodeVersion: manifest.devDependencies.node, environment, say })
  for (const target of ['node', 'operator'] as const satisfies readonly Target[]) {
    const startedMs = performance.now()
    await buildTarget({ buildah, root, target, certificatesFile: environment['NODE_EXTRA_CA_CERTS'] })
    say(`built target ${target} in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`)
  }
  let failed = 0
  const checks = imageChecks(buildah)
  for (const { title, check } of checks) {
    try {
      await check()
      say(`ok      ${title}`)
    } catch (problem) {
      failed += 1
      say(`FAILED  ${title}\n${problem instanceof Error ? problem.message : String(problem)}`)
    }
  }
  // What earlier builds left without a name: without this the storage grows with every change of a source. A run that was killed may have left a container that holds
  // an image; that fails no check.
  await buildah.run(['rmi', '--prune']).catch((problem: Error) => say(problem.message))
  say(`${checks.length - failed} of ${checks.length} checks passed`)
  return failed === 0 ? 0 : 1
}
