// buildah with a storage of its own, so that images made here are seen by nothing else on the machine. Isolation `chroot` needs neither cgroups nor a runtime.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Buildah {
  /** Standard output, trimmed. Throws an Error with the last lines of what buildah said when it fails. */
  run(args: readonly string[]): Promise<string>
  /** Program and arguments, for a caller that starts buildah as a long-running process. */
  command(args: readonly string[]): { readonly program: string; readonly args: readonly string[] }
  readonly environment: NodeJS.ProcessEnv
}

/** Found on PATH. */
const program = 'buildah'
const messageLines = 40
/** The longest, a build with an empty storage, takes some minutes on a busy machine. It only ends what hangs. */
const commandMsMax = 900_000

/** `storage` is kept between runs: the base image and the layers are reused. */
export function buildahWith(storage: string, environment: NodeJS.ProcessEnv): Buildah {
  const common = ['--root', `${storage}/root`, '--runroot', `${storage}/run`]
  const ownEnvironment = { ...environment, BUILDAH_ISOLATION: 'chroot' }
  const run = async (args: readonly string[]): Promise<string> => {
    const child = spawn(program, [...common, ...args], { env: ownEnvironment, stdio: ['ignore', 'pipe', 'pipe'], timeout: commandMsMax })
    let stdout = ''
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      said += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    await once(child, 'close')
    if (child.signalCode !== null) said += `\nended by ${child.signalCode}; it may take ${commandMsMax / 1000} s`
    if (child.exitCode !== 0) throw new Error(`buildah ${args[0]} failed: ${said.trim().split('\n').slice(-messageLines).join('\n')}`)
    return stdout.trim()
  }
  return { run, command: (args) => ({ program, args: [...common, ...args] }), environment: ownEnvironment }
}
