#!/usr/bin/env node
// The operator: composes the parts and runs them until SIGTERM. `node operator/main.ts -help` lists the flags.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { readGoFlags } from '../contract/flags/go-syntax.ts'
import { nearestName } from '../contract/flags/nearest-name.ts'
import { parseHostPort } from '../contract/host-port.ts'
import { makeLogger } from '../runtime/log.ts'
import type { Logger } from '../runtime/log.ts'
import { systemClock } from './controller/clock.ts'
import { clusterWatches } from './controller/cluster-watches.ts'
import { Controller } from './controller/controller.ts'
import { HealthServer } from './controller/health-server.ts'
import { LeaderLease } from './controller/leader-lease.ts'
import { operatorMetrics } from './controller/operator-metrics.ts'
import type { OperatorMetrics } from './controller/operator-metrics.ts'
import { OwnCredentials } from './credentials/own-credentials.ts'
import { ClientKube, loadKubeConfig } from './kube/client-kube.ts'
import { HttpsMembers } from './members/https-members.ts'
import type { ReconcileEvent } from './reconcile/reconcile-event.ts'
import { Reconciler } from './reconcile/reconciler.ts'
import { operatorName } from './resource/labels.ts'

const flags = {
  'node-image': { default: 'securesql-node:0.1.0', help: 'Image of the members of clusters whose resource names none.' },
  namespace: { default: '', help: 'The one namespace to look after; all of them without it.' },
  'lease-namespace': {
    default: 'securesql-system',
    help: "The operator's own namespace: its Lease is there, and from there clusters let it in.",
  },
  'metrics-addr': { default: 'localhost:8080', help: 'Address of /metrics, /healthz and /readyz (plain HTTP: counts only).' },
  kubeconfig: { default: '', help: "Kubeconfig to use; without it $KUBECONFIG, ~/.kube/config or the pod's ServiceAccount." },
  'log-level': { default: 'info', help: 'debug, info, warn or error.' },
} as const
type FlagName = keyof typeof flags
type Configuration = Readonly<Record<FlagName, string>>

const levels = ['debug', 'info', 'warn', 'error'] as const
/** SIGTERM to exit: passes that run are finished and the Lease is given back; then Kubernetes would kill us anyway. */
const stopWithinMs = 10_000

function isFlag(name: string): name is FlagName {
  return Object.hasOwn(flags, name)
}

function refuse(message: string): never {
  console.error(`securesql-operator: ${message}`)
  process.exit(1)
}

function parseFlags(argv: readonly string[]): Configuration {
  const given: Partial<Record<FlagName, string>> = {}
  for (const token of readGoFlags(argv, (name) =>
    name === 'help' || name === 'h' ? 'boolean' : isFlag(name) ? 'takes-value' : 'unknown',
  )) {
    if (token.kind === 'rest' && token.arguments.length > 0) refuse(`unexpected argument ${token.arguments.join(' ')}`)
    if (token.kind === 'problem') refuse(describeFlagProblem(token.problem))
    if (token.kind !== 'flag') continue
    if (!isFlag(token.name)) {
      console.log(helpText())
      process.exit(0)
    }
    given[token.name] = token.value
  }
  const preset = Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, flag.default])) as Record<FlagName, string>
  return { ...preset, ...given }
}

function describeFlagProblem(problem: { readonly code: string; readonly name?: string; readonly argument?: string }): string {
  if (problem.code === 'flag_unknown') {
    const near = nearestName(problem.name ?? '', Object.keys(flags))
    return `unknown flag -${problem.name}${near === undefined ? '' : `; did you mean -${near}?`}`
  }
  return problem.code === 'flag_value_missing' ? `the flag -${problem.name} needs a value` : `bad flag syntax: ${problem.argument}`
}

function helpText(): string {
  const lines = Object.entries(flags).map(
    ([name, flag]) => `  -${name}\n      ${flag.help}${flag.default === '' ? '' : ` (default ${flag.default})`}`,
  )
  return ['Usage: securesql-operator [flags]', '', 'Looks after SecureSqlCluster resources.', '', ...lines].join('\n')
}

function openKube(file: string): ClientKube {
  try {
    return new ClientKube(loadKubeConfig(file === '' ? undefined : file))
  } catch (error) {
    // A file that is not there or not a kubeconfig: the library has no way to ask first.
    refuse(`no usable kubeconfig: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function reportTo(log: Logger, metrics: OperatorMetrics): (event: ReconcileEvent) => void {
  return (event) => {
    metrics.reconcileEvent(event)
    if (event.kind === 'acted')
      log.info({ cluster: event.cluster, stage: event.stage, actions: event.actions, ok: event.ok }, 'cluster changed')
    else if (event.kind === 'failed') log.warn({ cluster: event.cluster, doing: event.doing, problem: event.problem }, 'pass cut short')
    else log.warn({ cluster: event.cluster, issues: event.issues }, 'resource does not satisfy the schema')
  }
}

const configuration = parseFlags(process.argv.slice(2))
const level = levels.find((known) => known === configuration['log-level']) ?? refuse(`-log-level must be one of ${levels.join(', ')}`)
const metricsAddress = parseHostPort(configuration['metrics-addr'])
if (!metricsAddress.ok) refuse(`-metrics-addr: ${metricsAddress.problem.message}`)

const log = makeLogger({ level })
const kube = openKube(configuration.kubeconfig)
const credentials = new OwnCredentials()
let controller: Controller | undefined
let synced = false

const metrics = operatorMetrics({ leading: () => lease.leading, waiting: () => controller?.load.waiting ?? 0 })
const reconciler = new Reconciler({
  kube,
  credentials,
  members: new HttpsMembers(),
  installation: {
    operatorNamespace: configuration['lease-namespace'],
    nodeImage: configuration['node-image'],
    extraDnsNames: [],
    extraIpAddresses: [],
  },
  now: Date.now,
  report: reportTo(log.child({ part: 'reconcile' }), metrics),
})

/** Acts until the Lease is lost or given up; nothing of it is left running afterwards. */
async function lead(signal: AbortSignal): Promise<void> {
  const acting = new Controller({
    kube,
    ...(configuration.namespace === '' ? {} : { namespace: configuration.namespace }),
    watches: clusterWatches,
    reconcile: (cluster) => reconciler.reconcile(cluster, signal),
    clock: systemClock,
    random: Math.random,
    log: log.child({ part: 'controller' }),
    onEvent: (event) => metrics.controllerEvent(event),
  })
  controller = acting
  void acting.synced().then(() => (synced = true))
  await new Promise((resolve) => (signal.aborted ? resolve(undefined) : signal.addEventListener('abort', resolve, { once: true })))
  synced = false
  controller = undefined
  await acting.close()
}

const lease: LeaderLease = new LeaderLease({
  kube,
  namespace: configuration['lease-namespace'],
  name: operatorName,
  identity: `${hostname()}_${randomUUID()}`,
  clock: systemClock,
  log: log.child({ part: 'lease' }),
  lead,
})
const health = await HealthServer.start({ ...metricsAddress.value, metrics, ready: () => !lease.leading || synced }).catch(
  (error: unknown) => refuse(`-metrics-addr ${configuration['metrics-addr']}: ${error instanceof Error ? error.message : String(error)}`),
)
log.info({ metricsPort: health.port, namespace: configuration.namespace === '' ? 'all' : configuration.namespace }, 'operator started')

async function stop(name: string): Promise<void> {
  log.info({ name }, 'stopping')
  setTimeout(() => process.exit(1), stopWithinMs).unref()
  await lease.close()
  await Promise.all([health.close(), credentials.close()])
  kube.close()
  log.info({}, 'stopped')
  process.exit(0)
}
process.once('SIGTERM', (name) => void stop(name))
process.once('SIGINT', (name) => void stop(name))
