// The operator's chart as the real helm lints and renders it.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'

const run = promisify(execFile)

export const chartFolder = join(import.meta.dirname, '..', '..', 'helm', 'securesql')

/** A rendered object; suites look into the parts that they are about. */
export interface ChartObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly annotations?: Readonly<Record<string, string>> }
  readonly [field: string]: unknown
}

export interface Release {
  readonly name: string
  readonly namespace: string
}

export interface HelmOutcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** `home` keeps helm away from the caller's own configuration and plugins. */
export async function helm(program: string, home: string, args: readonly string[]): Promise<HelmOutcome> {
  try {
    const { stdout, stderr } = await run(program, args, { env: { HOME: home } })
    return { exitCode: 0, stdout, stderr }
  } catch (problem) {
    const { code, stdout, stderr } = problem as { code?: number; stdout?: string; stderr?: string }
    return { exitCode: code ?? 1, stdout: stdout ?? '', stderr: stderr ?? String(problem) }
  }
}

/** `settings` are helm's `--set-json` arguments, such as `networkPolicy.enabled=false`. */
export async function renderChart(
  program: string,
  home: string,
  release: Release,
  settings: readonly string[] = [],
): Promise<readonly ChartObject[]> {
  const args = [
    'template',
    release.name,
    chartFolder,
    '--namespace',
    release.namespace,
    ...settings.flatMap((setting) => ['--set-json', setting]),
  ]
  const { exitCode, stdout, stderr } = await helm(program, home, args)
  if (exitCode !== 0) throw new Error(`helm template failed: ${stderr.trim()}`)
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as ChartObject | null)
    .filter((object) => object !== null)
}

/** The one object of that kind. */
export function only(objects: readonly ChartObject[], kind: string): ChartObject {
  const found = objects.filter((object) => object.kind === kind)
  const [object] = found
  if (object === undefined || found.length > 1) throw new Error(`the chart renders ${found.length} objects of kind ${kind}, expected one`)
  return object
}
