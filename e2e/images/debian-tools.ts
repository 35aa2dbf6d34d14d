// The Debian programs that build images without a daemon and without a registry.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** Program and the Debian package that has it. */
const tools = { buildah: 'buildah', mmdebstrap: 'mmdebstrap' } as const

const installer = 'apt-get'

export interface ToolOptions {
  readonly environment: NodeJS.ProcessEnv
  readonly say: (line: string) => void
}

/** Installs what is missing by apt-get. Throws an Error of one line where that is impossible. */
export async function ensureTools({ environment, say }: ToolOptions): Promise<void> {
  const missing: string[] = []
  for (const [program, debianPackage] of Object.entries(tools)) {
    if (!(await isOnPath(program, environment))) missing.push(debianPackage)
  }
  if (missing.length === 0) return
  if (process.getuid?.() !== 0)
    throw new Error(`missing: ${missing.join(', ')}. Install them (apt-get install ${missing.join(' ')}), or run this as root on Debian`)
  if (!(await isOnPath(installer, environment)))
    throw new Error(`missing: ${missing.join(', ')}. Only Debian packages can be installed by this script`)
  say(`installing ${missing.join(', ')} by apt-get`)
  const aptEnvironment = { ...environment, DEBIAN_FRONTEND: 'noninteractive' }
  await aptGet(['update'], aptEnvironment)
  await aptGet(['install', '--yes', '--no-install-recommends', ...missing], aptEnvironment)
}

async function aptGet(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<void> {
  const apt = spawn(installer, ['--quiet', ...args], { env: environment, stdio: ['ignore', 'ignore', 'inherit'] })
  await once(apt, 'close')
  if (apt.exitCode !== 0) throw new Error(`apt-get ${args.join(' ')} failed`)
}

async function isOnPath(program: string, environment: NodeJS.ProcessEnv): Promise<boolean> {
  for (const folder of (environment['PATH'] ?? '').split(delimiter)) {
    const found = await access(join(folder, program), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return true
  }
  return false
}
