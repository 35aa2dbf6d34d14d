// The public base image that the Dockerfile names, made here from Debian packages and npm packages under the very name, because a build without a registry cannot pull
// it. The Dockerfile stays the public one.
import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Buildah } from './buildah.ts'

const run = promisify(execFile)

export const baseImage = 'docker.io/library/node:26-bookworm-slim'
// libatomic1: Node 26 needs it, and Debian's smallest installation lacks it (the public image has it).
const debianPackages = 'ca-certificates,libatomic1'
const npmVersion = '12.2.0'
/** States what a kept base image was made of; another value makes it anew. */
const recipeLabel = 'dev.securesql.base-recipe'

export interface BaseImageOptions {
  readonly buildah: Buildah
  /** The Node 26 binary that goes into the image: the project's own devDependency. */
  readonly nodeProgram: string
  readonly nodeVersion: string
  readonly environment: NodeJS.ProcessEnv
  readonly say: (line: string) => void
}

export async function ensureBaseImage(options: BaseImageOptions): Promise<void> {
  const recipe = `${options.nodeVersion} npm-${npmVersion} ${debianPackages}`
  const known = await options.buildah
    .run(['inspect', '--type', 'image', '--format', `{{index .OCIv1.Config.Labels "${recipeLabel}"}}`, baseImage])
    .catch(() => '')
  if (known === recipe) return
  const startedMs = performance.now()
  options.say(`making ${baseImage} (Debian by mmdebstrap, Node ${options.nodeVersion})`)
  const folder = await mkdtemp(join(tmpdir(), 'securesql-base-image-'))
  try {
    await makeBaseImage(folder, recipe, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  options.say(`made the base image in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`)
}

async function makeBaseImage(folder: string, recipe: string, { buildah, nodeProgram, environment }: BaseImageOptions): Promise<void> {
  // mmdebstrap chooses its output by the ending: `.tar` is an archive.
  const debian = join(folder, 'debian.tar')
  await run('mmdebstrap', ['--variant=minbase', `--include=${debianPackages}`, 'bookworm', debian], {
    env: environment,
    maxBuffer: 64 << 20,
  })
  const local = join(folder, 'local')
  await mkdir(join(local, 'bin'), { recursive: true })
  await copyFile(nodeProgram, join(local, 'bin', 'node'))
  await chmod(join(local, 'bin', 'node'), 0o755)
  await run('npm', ['install', '--global', '--prefix', local, '--no-audit', '--no-fund', `npm@${npmVersion}`], { env: environment })

  const container = await buildah.run(['from', 'scratch'])
  try {
    await buildah.run(['add', container, debian, '/'])
    await buildah.run(['copy', container, local, '/usr/local'])
    await buildah.run(['run', container, '--', 'groupadd', '--gid', '1000', 'node'])
    await buildah.run(['run', container, '--', 'useradd', '--uid', '1000', '--gid', 'node', '--create-home', 'node'])
    await buildah.run([
      'config',
      '--env',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      '--cmd',
      'node',
      '--label',
      `${recipeLabel}=${recipe}`,
      container,
    ])
    await buildah.run(['commit', '--quiet', container, baseImage])
  } finally {
    await buildah.run(['rm', container])
  }
}
