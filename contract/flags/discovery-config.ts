// `-disco-config`, as rqlite writes it: JSON, with variables of the environment put in before it is read.
import { z } from 'zod'
import { fail, ok } from '../../runtime/result.ts'
import type { Result } from '../../runtime/result.ts'
import { formatHostPort, parseHostPort } from '../host-port.ts'
import type { DiscoveryConfiguration, DiscoveryMode } from '../node-configuration.ts'

export type DiscoverySettings =
  | { readonly mode: 'dns'; readonly name: string; readonly port: number }
  | { readonly mode: 'dns-srv'; readonly name: string; readonly service: string }
  /** `host:port`, instead of asking DNS. */
  | { readonly mode: 'hosts'; readonly addresses: readonly string[] }

/** rqlite's own: a comma list of Raft addresses that stands in the place of whatever DNS would say. */
const hostsVariable = 'RQLITE_DISCO_DNS_HOSTS'

/** Problem: a phrase that follows "-disco-config". */
type Parsed = Result<DiscoverySettings, string>

// A whole DNS name (RFC 1035 §2.3.4), with the underscore that Kubernetes and SRV records use.
const dnsName = z
  .string()
  .regex(/^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/)
const serviceName = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9-]{0,13}[A-Za-z0-9])?$/) // RFC 6335 §5.1
// rqlite's own default.
const nameDefault = 'rqlite'
const dnsConfig = z.strictObject({ name: dnsName.optional(), port: z.int().min(1).max(65_535).optional() })
const srvConfig = z.strictObject({ name: dnsName.optional(), service: serviceName })

/** Undefined: the text is the configuration itself, or there is none. */
export function discoveryConfigFile({ config }: DiscoveryConfiguration): string | undefined {
  return config === undefined || config.trimStart().startsWith('{') ? undefined : config
}

/** `environment`: a variable that is not set is a mistake, not an empty text. */
export function parseDiscovery(
  mode: DiscoveryMode,
  text: string,
  around: { readonly raftPort: number; readonly environment: Readonly<Record<string, string | undefined>> },
): Parsed {
  const missing: string[] = []
  const filled = text.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced: string | undefined, bare: string | undefined) => {
    const name = braced ?? bare ?? ''
    const value = Object.hasOwn(around.environment, name) ? around.environment[name] : undefined
    if (value === undefined) missing.push(name)
    return value ?? ''
  })
  if (missing.length > 0) return fail(`names variables that are not set: ${missing.join(', ')}`)
  const json = parseJson(filled)
  if (json === undefined) return fail('is not JSON')
  const parsed = mode === 'dns' ? parseDns(json, around.raftPort) : parseSrv(json)
  const hosts = Object.hasOwn(around.environment, hostsVariable) ? (around.environment[hostsVariable] ?? '') : ''
  return parsed.ok && hosts !== '' ? parseHosts(hosts) : parsed
}

function parseHosts(list: string): Parsed {
  const addresses: string[] = []
  for (const text of list.split(',')) {
    const parsed = parseHostPort(text.trim())
    if (!parsed.ok || parsed.value.host === '') return fail(`cannot be used: ${hostsVariable} must be a comma list of host:port`)
    addresses.push(formatHostPort(parsed.value))
  }
  return ok({ mode: 'hosts', addresses })
}

function parseDns(json: unknown, raftPort: number): Parsed {
  const parsed = dnsConfig.safeParse(json)
  if (!parsed.success) return fail(`must be {"name":"…","port":…}: ${whereOf(parsed.error)}`)
  const { name = nameDefault, port = raftPort } = parsed.data
  return ok({ mode: 'dns', name, port })
}

function parseSrv(json: unknown): Parsed {
  const parsed = srvConfig.safeParse(json)
  if (!parsed.success) return fail(`must be {"name":"…","service":"…"}: ${whereOf(parsed.error)}`)
  const { name = nameDefault, service } = parsed.data
  return ok({ mode: 'dns-srv', name, service })
}

function whereOf(error: z.ZodError): string {
  const [issue] = error.issues
  const path = issue?.path.join('.') ?? ''
  return path === '' ? 'unknown or missing keys' : `${path} is missing or not valid`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
