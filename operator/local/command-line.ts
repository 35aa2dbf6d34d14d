// A container's arguments and environment as a local process needs them: Kubernetes' own `$(VAR)` expansion first, then mounted paths become folders, and names and
// ports become loopback endpoints. Each replacement is one pass over the text, so that nothing is replaced in what was just put in.
import type { LocalAddresses, PodName } from './local-addresses.ts'
import { podDnsPattern } from './local-addresses.ts'
import type { EnvPlan } from './pod-plan.ts'

/** What the downward API gives, by field path. */
export type PodFields = Readonly<Record<string, string>>

export function environmentOf(env: readonly EnvPlan[], fields: PodFields): Readonly<Record<string, string>> {
  const values: Record<string, string> = {}
  for (const entry of env) values[entry.name] = 'field' in entry ? (fields[entry.field] ?? '') : expand(entry.value, values)
  return values
}

/** `$(NAME)` by its value, `$$(NAME)` by itself; an unknown name stays as it is (kubernetes.io, "Define dependent environment variables"). */
export function expand(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(?<escaped>\$?)\((?<name>[A-Za-z_][-A-Za-z0-9_.]*)\)/g, (whole, escaped: string, name: string) => {
    if (escaped !== '') return `$(${name})`
    return values[name] ?? whole
  })
}

/** Mounted paths by folders: a path counts at the beginning of an argument or after `=`, `:` or `,`, and ends at `/` or with the word. */
export function replacePaths(text: string, folders: ReadonlyMap<string, string>): string {
  if (folders.size === 0) return text
  const paths = [...folders.keys()].sort((left, right) => right.length - left.length).map(escapePattern)
  const pattern = new RegExp(`(?<=^|[=:,])(?:${paths.join('|')})(?=$|[/,:])`, 'g')
  return text.replaceAll(pattern, (path) => folders.get(path) ?? path)
}

/** DNS names of pods by their addresses; `0.0.0.0`, `[::]` and a missing host (`:4001`) by the pod's own; ports as the map has them. */
export async function replaceAddresses(text: string, own: PodName, addresses: LocalAddresses): Promise<string> {
  const pattern = new RegExp(String.raw`(?:${podDnsPattern.source}|(?<![\d.])0\.0\.0\.0|\[::\]|(?<=^|[=,])(?=:\d))(?::(?<port>\d+))?`, 'g')
  let replaced = ''
  let end = 0
  for (const found of text.matchAll(pattern)) {
    const { pod: name, namespace, port } = found.groups ?? {}
    const pod = name === undefined || namespace === undefined ? own : { namespace, name }
    replaced += text.slice(end, found.index) + (await addressText(pod, port, addresses))
    end = found.index + found[0].length
  }
  return replaced + text.slice(end)
}

async function addressText(pod: PodName, port: string | undefined, addresses: LocalAddresses): Promise<string> {
  if (port === undefined) return addresses.addressOf(pod)
  const endpoint = await addresses.endpoint(pod, Number(port))
  return `${endpoint.host}:${endpoint.port}`
}

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}
