// What the command line names as files, all of it read before the data directory is touched: a wrong path leaves nothing behind.
import { readFileSync } from 'node:fs'
import { discoveryConfigFile, parseDiscovery, type DiscoverySettings } from '../../contract/flags/discovery-config.ts'
import type { NodeConfiguration, NodeTlsConfiguration } from '../../contract/node-configuration.ts'
import { followTlsFiles } from '../../runtime/followed-tls-files.ts'
import type { Logger } from '../../runtime/log.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { WatchedTlsFiles } from '../../runtime/tls-files.ts'
import { joinCredentials } from '../access/join-authority.ts'
import type { Clock } from '../replica/clock.ts'

export interface StartFiles {
  /** Undefined: plain HTTP. */
  readonly apiTls: WatchedTlsFiles | undefined
  /** Undefined: plain TCP. */
  readonly nodeTls: WatchedTlsFiles | undefined
  /** Of `-join-as`. */
  readonly credentials: { readonly username: string; readonly password: string } | undefined
  /** Vouches for the API asked by `-join https://…`. */
  readonly apiCa: string | undefined
  /** `-disco-mode`. */
  readonly discovery: DiscoverySettings | undefined
}

interface StartProblem {
  readonly code: string
  /** A whole sentence for the person who typed the command; names paths, never what stands in them. */
  readonly message: string
}

interface Around {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

type Read<Value> = Result<Value, StartProblem>

export function readStartFiles(configuration: NodeConfiguration, around: Around): Read<StartFiles> {
  const { raft, http, join, accessFile } = configuration
  const apiTls = readTls('api', http.tls === undefined ? undefined : { ...http.tls, caFile: http.caFile }, around)
  if (!apiTls.ok) return apiTls
  const nodeTls = readTls('node', raft.tls, around)
  if (!nodeTls.ok) return nodeTls
  const credentials = join.as === undefined ? ok(undefined) : joinCredentials(join.as, accessFile)
  if (!credentials.ok) return credentials
  const asksApi = join.targets.some(({ kind }) => kind === 'api')
  const apiCa = asksApi && http.caFile !== undefined ? readText(http.caFile, 'ca_unreadable', '-http-ca-cert') : ok(undefined)
  if (!apiCa.ok) return apiCa
  const discovery = readDiscovery(configuration, around)
  if (!discovery.ok) return discovery
  return ok({
    apiTls: apiTls.value,
    nodeTls: nodeTls.value,
    credentials: credentials.value,
    apiCa: apiCa.value,
    discovery: discovery.value,
  })
}

function readTls(
  part: 'api' | 'node',
  files: { readonly certFile: string; readonly keyFile: string; readonly caFile: string | undefined } | undefined,
  { clock, logger, metrics }: Around,
): Read<WatchedTlsFiles | undefined> {
  if (files === undefined) return ok(undefined)
  const paths = { certificate: files.certFile, key: files.keyFile, ca: files.caFile }
  return followTlsFiles({ part, paths, every: (intervalMs, callback) => clock.every(intervalMs, callback), logger, metrics })
}

function readDiscovery({ raft, join }: NodeConfiguration, { environment }: Around): Read<DiscoverySettings | undefined> {
  const { discovery } = join
  if (discovery === undefined) return ok(undefined)
  const file = discoveryConfigFile(discovery)
  const text = file === undefined ? ok(discovery.config ?? '{}') : readText(file, 'discovery_unreadable', '-disco-config')
  if (!text.ok) return text
  const parsed = parseDiscovery(discovery.mode, text.value, { raftPort: raft.advertised.port, environment })
  return parsed.ok ? parsed : fail({ code: 'discovery_invalid', message: `-disco-config ${parsed.problem}` })
}

function readText(path: string, code: string, flag: string): Read<string> {
  try {
    return ok(readFileSync(path, 'utf8'))
  } catch {
    // Whatever the operating system says of the path.
    return fail({ code, message: `${path} (${flag}) cannot be read` })
  }
}

/** What the command line says of certificates between nodes, in the peers' words. */
export function peerTlsRules({ verifyClient, verify, serverName, clientCommonName }: NodeTlsConfiguration) {
  return { verifyClient, noVerify: !verify, verifyServerName: serverName, verifyCommonName: clientCommonName }
}
