// `npm run demo`: one resource becomes a running, secure cluster on this machine, with the operator's own code and the node program, and no Kubernetes.
// `npm run demo -- --check` ends by itself and exits 0 only if every step held; so does a run without a terminal. `--one-address` uses 127.0.0.1 for all nodes, as macOS
// must. Everything lies in one temporary folder and is gone afterwards.
import { createWriteStream, readFileSync, readdirSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { randomBytes } from 'node:crypto'
import { makeLogger } from '../../runtime/log.ts'
import type { Logger } from '../../runtime/log.ts'
import { clusterWatches } from '../controller/cluster-watches.ts'
import { systemClock } from '../controller/clock.ts'
import { Controller } from '../controller/controller.ts'
import { OwnCredentials } from '../credentials/own-credentials.ts'
import type { KubeObject } from '../kube/kube.ts'
import { invalid } from '../kube/object-rules.ts'
import { HttpsMembers } from '../members/https-members.ts'
import { Reconciler } from '../reconcile/reconciler.ts'
import { operatorUser } from '../resource/labels.ts'
import { names } from '../resource/names.ts'
import { describeIssues, parseCluster } from '../resource/parse-cluster.ts'
import { clusterKind } from '../resource/resource-kind.ts'
import { makeDemoFolder, openToOthers, removeStaleDemos } from './demo-folder.ts'
import { readExample } from './demo-example.ts'
import { demoSteps } from './demo-steps.ts'
import type { DemoRun, DemoStep } from './demo-steps.ts'
import { DemoWorld } from './demo-world.ts'
import type { DemoNames } from './demo-world.ts'
import { writeHandout } from './demo-handout.ts'
import { LocalCluster } from './local-cluster.ts'
import type { Closable, OperatorParts } from './local-cluster.ts'

const projectFolder = resolve(import.meta.dirname, '../..')
const example = join(projectFolder, 'examples/three-nodes.yaml')
const namespace = 'default'
const nodeImage = 'securesql-node:local'
/** Members that a cluster of the demo can ever have get their addresses into the certificates at once. */
const addressesInCertificates = 9
/** Whatever hangs while the demo ends: after this everything is killed. */
const closeWithinMs = 45_000

const logLinesShown = 15

const known = new Set(['--check', '--one-address'])
const unknown = process.argv.slice(2).find((arg) => !known.has(arg))
if (unknown !== undefined) {
  console.error(`unknown argument ${unknown}; known are ${[...known].join(' and ')}`)
  process.exit(2)
}
const staysOpen = process.stdout.isTTY && !process.argv.includes('--check')
const mode = process.argv.includes('--one-address') || process.platform !== 'linux' ? 'one-address' : 'address-per-pod'

async function startOperator(log: Logger, { kube, addresses }: OperatorParts): Promise<Closable> {
  const credentials = new OwnCredentials()
  const installation = {
    operatorNamespace: 'securesql-system',
    nodeImage,
    extraDnsNames: ['localhost'],
    extraIpAddresses: addresses.addresses(addressesInCertificates),
  }
  const reconciler = new Reconciler({
    kube,
    credentials,
    installation,
    members: new HttpsMembers({ locate: (host, port) => addresses.resolve(host, port) }),
    now: Date.now,
    report: (event) => log.info({ event }, 'reconciled'),
  })
  const controller = new Controller({
    kube,
    watches: clusterWatches,
    reconcile: (cluster) => reconciler.reconcile(cluster),
    clock: systemClock,
    random: Math.random,
    log,
  })
  return {
    async close() {
      await controller.close()
      await credentials.close()
    },
  }
}

async function startCluster(folder: string, log: Logger): Promise<LocalCluster> {
  return LocalCluster.start({
    folder,
    mode,
    images: (image) => (image === nodeImage ? [process.execPath, join(projectFolder, 'node/main.ts')] : undefined),
    baseEnv: { PATH: process.env['PATH'] ?? '' },
    // What the CRD's schema and rules do on a real API server.
    admit: (object) => {
      const parsed = object.kind === clusterKind.kind ? parseCluster(object) : { ok: true as const }
      return parsed.ok ? { ok: true, value: object } : { ok: false, problem: invalid(describeIssues(parsed.problem)) }
    },
    log,
    startOperator: (parts) => startOperator(log.child({ part: 'operator' }), parts),
  })
}

/** Applies the example as `kubectl apply` would, but for the password in it, which everybody knows: what a person must bring is made up here. */
async function applyExample(cluster: LocalCluster): Promise<DemoNames> {
  const objects = readExample(readFileSync(example, 'utf8'), namespace)
  const resource = objects.find((object) => object.kind === clusterKind.kind)
  const parsed = parseCluster({ ...resource, metadata: { ...resource?.metadata, uid: 'not-yet' } })
  if (!parsed.ok) throw new Error(`${example}: ${describeIssues(parsed.problem)}`)
  const users = parsed.value.users.map(({ name, passwordSecret }) => ({
    user: name,
    secret: passwordSecret?.name ?? names.userPassword(parsed.value, name),
    key: passwordSecret?.key ?? 'password',
    given: passwordSecret !== undefined,
  }))
  const brought = users.filter(({ given }) => given)
  const made = brought.map(({ secret, key }): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name: secret },
    type: 'Opaque',
    data: { [key]: newPassword() },
  }))
  const others = objects.filter((object) => object.kind !== 'Secret' || brought.every(({ secret }) => secret !== object.metadata.name))
  for (const object of [...made, ...others]) {
    const applied = await cluster.kube.apply(object, 'kubectl')
    if (!applied.ok) throw new Error(`${object.kind} ${object.metadata.name}: ${applied.problem.message}`)
  }
  const [app, reporting] = ['app', 'reporting'].map((name) => users.find(({ user }) => user === name))
  if (app === undefined || reporting === undefined) throw new Error(`${example} must have the users app and reporting`)
  return {
    namespace,
    cluster: parsed.value.name,
    replicas: parsed.value.replicas,
    nodesService: names.nodesService(parsed.value),
    caSecret: names.caBundle(parsed.value),
    apiTlsSecret: names.apiTls(parsed.value),
    nodeTlsSecret: names.nodeTls(parsed.value),
    app,
    reporting,
    operator: { user: operatorUser, secret: names.operatorUser(parsed.value), key: 'password' },
  }
}

/** As a Secret carries it. */
function newPassword(): string {
  return Buffer.from(randomBytes(18).toString('base64url')).toString('base64')
}

async function runSteps(cluster: LocalCluster, folder: string): Promise<void> {
  const appliedAtMs = performance.now()
  const world = new DemoWorld({
    kube: cluster.kube,
    addresses: cluster.addresses,
    pidOf: (pod) => cluster.kubelet.pidOf(pod),
    names: await applyExample(cluster),
  })
  console.log(`applied ${example} through the operator's own code (this stand-in enforces no NetworkPolicy)`)
  const run: DemoRun = { world, appliedAtMs, acknowledged: new Set() }
  const steps = [...demoSteps, filesClosed(folder)]
  for (const [at, step] of steps.entries()) {
    process.stdout.write(`${at + 1}/${steps.length} ${step.title} … `)
    const beganMs = performance.now()
    const shown = await step.run(run)
    console.log(`ok, ${((performance.now() - beganMs) / 1_000).toFixed(1)} s\n      ${shown.replaceAll('\n', '\n      ')}`)
  }
  console.log(`all ${steps.length} steps held\n`)
  if (staysOpen) console.log(`${await writeHandout(world, folder)}\n\nCtrl-C ends it and removes everything.`)
}

function filesClosed(folder: string): DemoStep {
  return {
    title: 'nothing on disk is open to other users of this machine',
    run: async () => {
      const open = await openToOthers(folder)
      if (open.length > 0) throw new Error(`others may reach ${open.join(', ')}`)
      return folder
    },
  }
}

/** The ends of all logs: after a failure the folder is removed, and with it what would say why. */
async function showLogs(folder: string): Promise<void> {
  const files = [join(folder, 'operator.log'), ...readdirSync(join(folder, 'logs')).map((name) => join(folder, 'logs', name))]
  for (const file of files) {
    // Probes that were answered "not yet" drown everything else.
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '' && !line.includes('"/readyz"'))
    console.error(`--- ${file}, last lines\n${lines.slice(-logLinesShown).join('\n')}`)
  }
}

/** Resolves with the signal that asks us to end. */
function asked(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal))
  })
}

for (const folder of await removeStaleDemos(tmpdir(), process.getuid?.(), systemClock))
  console.log(`removed what a killed demo had left: ${folder}`)
const folder = await makeDemoFolder(tmpdir(), process.pid)
const destination = createWriteStream(join(folder, 'operator.log'), { mode: 0o600 })
const cluster = await startCluster(folder, makeLogger({ level: 'info', destination }))
// The last resort, whatever way we end: nothing may run on. SIGKILL alone leaves no time for it; the next demo cleans up then.
process.on('exit', () => {
  cluster.kubelet.killNow()
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
})
const ended = asked()
try {
  const result = await Promise.race([runSteps(cluster, folder).then(() => 'held' as const), ended])
  if (result === 'held') {
    if (staysOpen) await ended
  } else {
    console.log(`\n${result}: ending before all steps were done`)
    process.exitCode = 1
  }
} catch (cause) {
  console.error(`failed\n${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`)
  await showLogs(folder)
  process.exitCode = 1
}
setTimeout(() => process.exit(1), closeWithinMs).unref()
await cluster.close()
console.log('ended; nothing is left behind')
process.exit()
