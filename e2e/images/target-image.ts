// Builds one target of the project's Dockerfile and looks into what came out.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Buildah } from './buildah.ts'

export type Target = 'node' | 'operator'

export interface ImageFacts {
  readonly user: string
  readonly entrypoint: readonly string[]
  readonly workingDir: string
}

const certificatesInBuild = '/run/build-certificates.crt'

export interface BuildTargetOptions {
  readonly buildah: Buildah
  readonly root: string
  readonly target: Target
  /** The machine's certificates, for `npm ci` behind a proxy that has its own authority. They do not stay in the image. */
  readonly certificatesFile: string | undefined
}

export function imageName(target: Target): string {
  return `localhost/securesql-${target}:test`
}

export async function buildTarget({ buildah, root, target, certificatesFile }: BuildTargetOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'securesql-image-build-'))
  try {
    const mounts = certificatesFile === undefined ? [] : await certificateMounts(folder, certificatesFile)
    const options = ['--pull=never', '--layers', '--force-rm', '--format=oci', '--target', target, '--tag', imageName(target), ...mounts]
    await buildah.run(['build', ...options, '--file', join(root, 'Dockerfile'), root])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function certificateMounts(folder: string, certificatesFile: string): Promise<readonly string[]> {
  const npmrc = join(folder, 'npmrc')
  await writeFile(npmrc, `cafile=${certificatesInBuild}\n`)
  return ['--volume', `${certificatesFile}:${certificatesInBuild}:ro`, '--volume', `${npmrc}:/usr/local/etc/npmrc:ro`]
}

export async function imageFacts(buildah: Buildah, target: Target): Promise<ImageFacts> {
  const text = await buildah.run(['inspect', '--type', 'image', imageName(target)])
  const { OCIv1 } = JSON.parse(text) as { OCIv1: { config: { User?: string; Entrypoint?: string[]; WorkingDir?: string } } }
  const { User, Entrypoint, WorkingDir } = OCIv1.config
  return { user: User ?? '', entrypoint: Entrypoint ?? [], workingDir: WorkingDir ?? '' }
}
