// The programs of a real Kubernetes control plane, built from their own Go modules (`programs/<folder>/go.sum` pins every line of them) and kept in the user's cache
// directory, outside of the clone: the six minutes of the first build are paid once for each machine, not once for each clone. The obvious alternative, downloading
// released binaries, needs hosts that are not package registries and trusts checksums that nobody but the same host vouches for.
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Absolute paths of the built programs. */
export interface Programs {
  readonly etcd: string
  readonly kubeApiserver: string
  readonly kubeControllerManager: string
  readonly kubectl: string
  readonly helm: string
}

export interface BuildOptions {
  /** Where built programs are kept; one folder for each module and hash is made in it. */
  readonly cacheDir: string
  /** The environment of `go`: PATH, HOME, GOPROXY and the like. */
  readonly environment: NodeJS.ProcessEnv
  /** One line of progress. */
  readonly say: (line: string) => void
}

interface ProgramModule {
  readonly folder: string
  readonly packages: readonly string[]
  readonly linkerFlags: string
}

// The version must be linked in: without it kubectl cannot compare versions, and helm refuses every chart that states a kubeVersion.
const kubernetesVersion = 'v1.34.4'

const etcdModule: ProgramModule = { folder: 'etcd', packages: ['go.etcd.io/etcd/server/v3'], linkerFlags: '-s -w' }
const kubernetesModule: ProgramModule = {
  folder: 'kubernetes',
  packages: ['kube-apiserver', 'kube-controller-manager', 'kubectl'].map((name) => `k8s.io/kubernetes/cmd/${name}`),
  linkerFlags: `-s -w -X k8s.io/component-base/version.gitVersion=${kubernetesVersion}`,
}
const helmModule: ProgramModule = { folder: 'helm', packages: ['helm.sh/helm/v4/cmd/helm'], linkerFlags: '-s -w' }

/** Found on PATH. */
const goProgram = 'go'
const buildFlags = ['-trimpath', '-buildvcs=false', '-mod=readonly']
/** How often a running build says that it still runs. */
const progressMs = 30_000

/** Builds what the cache does not hold yet. Throws an Error of one line when Go is missing or a build fails. */
export async function buildPrograms(options: BuildOptions): Promise<Programs> {
  const etcd = await moduleFolder(etcdModule, options)
  const kubernetes = await moduleFolder(kubernetesModule, options)
  const helm = await moduleFolder(helmModule, options)
  return {
    // The module's path ends in v3, but go names the program after the element before it.
    etcd: join(etcd, 'server'),
    kubeApiserver: join(kubernetes, 'kube-apiserver'),
    kubeControllerManager: join(kubernetes, 'kube-controller-manager'),
    kubectl: join(kubernetes, 'kubectl'),
    helm: join(helm, 'helm'),
  }
}

/** Only helm, for the tests of the chart that need no control plane. */
export async function buildHelm(options: BuildOptions): Promise<string> {
  return join(await moduleFolder(helmModule, options), 'helm')
}

/** The folder with the module's programs, built now when the cache lacks it. It appears under its name only when it is whole. */
async function moduleFolder(module: ProgramModule, options: BuildOptions): Promise<string> {
  const source = join(import.meta.dirname, 'programs', module.folder)
  const folder = join(options.cacheDir, `${module.folder}-${await moduleHash(module, source)}`)
  if (await exists(folder)) return folder
  await assertGo(options)
  const unfinished = `${folder}.${randomUUID()}`
  await mkdir(unfinished, { recursive: true, mode: 0o700 })
  try {
    await goBuild(module, source, unfinished, options)
    await rename(unfinished, folder)
  } catch (problem) {
    await rm(unfinished, { recursive: true, force: true })
    // Another run that built the same at the same time was faster: its folder is as good as ours.
    if (!(await exists(folder))) throw problem
  }
  return folder
}

async function moduleHash(module: ProgramModule, source: string): Promise<string> {
  const hash = createHash('sha256')
  for (const file of ['go.mod', 'go.sum']) hash.update(await readFile(join(source, file)))
  hash.update(JSON.stringify([module.packages, module.linkerFlags, buildFlags, process.platform, process.arch]))
  return hash.digest('hex').slice(0, 16)
}

async function goBuild(module: ProgramModule, source: string, target: string, { environment, say }: BuildOptions): Promise<void> {
  const startedMs = performance.now()
  const elapsed = () => `${((performance.now() - startedMs) / 1000).toFixed(0)} s`
  say(`building programs/${module.folder}: ${module.packages.join(', ')} (minutes the first time, then kept)`)
  const progress = setInterval(() => say(`still building programs/${module.folder} (${elapsed()})`), progressMs)
  try {
    const args = ['build', ...buildFlags, `-ldflags=${module.linkerFlags}`, '-o', `${target}/`, ...module.packages]
    // Without cgo the programs need no C compiler and no shared library.
    const { exitCode, stderr } = await runGo(args, source, { ...environment, CGO_ENABLED: '0' })
    if (exitCode !== 0) throw new Error(`go build of programs/${module.folder} failed: ${stderr.trim().split('\n').slice(-5).join(' | ')}`)
  } finally {
    clearInterval(progress)
  }
  say(`built programs/${module.folder} in ${elapsed()}`)
}

async function assertGo({ environment }: BuildOptions): Promise<void> {
  const missing = new Error(
    'Go 1.26 or newer is not on PATH: it builds the control plane from source (https://go.dev/dl), once for each machine',
  )
  const outcome = await runGo(['version'], import.meta.dirname, environment).catch(() => undefined)
  if (outcome?.exitCode !== 0) throw missing
}

async function runGo(
  args: readonly string[],
  cwd: string,
  environment: NodeJS.ProcessEnv,
): Promise<{ exitCode: number | null; stderr: string }> {
  const go = spawn(goProgram, args, { cwd, env: environment, stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  go.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  await once(go, 'close')
  return { exitCode: go.exitCode, stderr }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
