// The real kubectl, as one identity. It gets its kubeconfig by path and nothing of the caller's environment, so that no other cluster can be reached by mistake.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface KubectlOutcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** `attempt` gives the outcome, whatever it is; `run` throws an Error with kubectl's own words when it failed, and gives its standard output. */
export interface Kubectl {
  attempt(args: readonly string[], input?: string): Promise<KubectlOutcome>
  run(args: readonly string[], input?: string): Promise<string>
}

/** Longer than any wait that it is asked for. It only ends what hangs: kubectl itself waits without end for an API server that does not answer. */
const answerMsMax = 300_000

/** `home` is where kubectl keeps its discovery cache. */
export function kubectlAs(program: string, kubeconfig: string, home: string): Kubectl {
  const attempt = async (args: readonly string[], input = ''): Promise<KubectlOutcome> => {
    const child = spawn(program, args, {
      env: { KUBECONFIG: kubeconfig, HOME: home },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: answerMsMax,
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.stdin.on('error', () => undefined) // EPIPE: kubectl refused before it had read everything; its exit code says so
    child.stdin.end(input)
    await once(child, 'close')
    if (child.signalCode !== null) stderr += `\nkubectl was ended by ${child.signalCode}; it may take ${answerMsMax / 1000} s`
    return { exitCode: child.exitCode ?? 1, stdout, stderr }
  }
  const run = async (args: readonly string[], input?: string): Promise<string> => {
    const outcome = await attempt(args, input)
    if (outcome.exitCode !== 0) throw new Error(`kubectl ${args.join(' ')} failed: ${outcome.stderr.trim()}`)
    return outcome.stdout
  }
  return { attempt, run }
}
