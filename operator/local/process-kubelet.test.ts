import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { systemClock } from '../controller/clock.ts'
import { listAt, numberAt, objectAt, textAt } from '../kube/json-object.ts'
import { must } from '../kube/kube-contract-objects.ts'
import type { KubeObject } from '../kube/kube.ts'
import { loopbackCertificate } from '../kube/loopback-certificate.ts'
import { MemoryKube } from '../kube/memory-kube.ts'
import { LocalAddresses } from './local-addresses.ts'
import type { AddressMode, Endpoint } from './local-addresses.ts'
import { LocalProcess, killOrphan } from './local-process.ts'
import { probe } from './probe.ts'
import { identityOf, isAlive } from './process-identity.ts'
import { ProcessKubelet } from './process-kubelet.ts'
import { startStatefulSetController } from './stateful-set-controller.ts'

const standIn = fileURLToPath(import.meta.resolve('./stand-in/main.ts'))
const place = { namespace: 'shop', name: 'orders' }
const deadlineMs = 120_000

/** Waits for a condition of real processes; the deadline is only for a test that fails. */
async function until<Value>(what: string, look: () => Promise<Value | undefined> | Value | undefined): Promise<Value> {
  const endMs = performance.now() + deadlineMs
  for (;;) {
    const value = await look()
    if (value !== undefined && value !== false) return value
    assert.ok(performance.now() < endMs, `waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

interface World {
  readonly kube: MemoryKube
  readonly kubelet: ProcessKubelet
  readonly addresses: LocalAddresses
  readonly folder: string
  readonly claim: (pod: string) => string
  readonly close: () => Promise<void>
}

function tls(): KubeObject {
  const { certPem, keyPem } = loopbackCertificate()
  const data = { 'tls.crt': Buffer.from(certPem).toString('base64'), 'tls.key': Buffer.from(keyPem).toString('base64') }
  return { apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'shop', name: 'tls' }, type: 'kubernetes.io/tls', data }
}

function statefulSet(replicas: number, whenDeleted = 'Retain'): KubeObject {
  const labels = { app: 'orders' }
  const get = { path: '/readyz', port: 4001, scheme: 'HTTPS' }
  const container = {
    name: 'node',
    image: 'stand-in:1',
    args: ['-http-addr=:4001', '-http-cert=/etc/tls/tls.crt', '-http-key=/etc/tls/tls.key', '-name=$(POD_NAME)', '/data'],
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'PEERS', value: 'orders-0.orders-nodes.shop.svc:4001,orders-1.orders-nodes.shop.svc:4001' },
    ],
    readinessProbe: { httpGet: get, periodSeconds: 1 },
    volumeMounts: [
      { name: 'tls', mountPath: '/etc/tls' },
      { name: 'data', mountPath: '/data' },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  }
  const volumes = [
    { name: 'tls', secret: { secretName: 'tls', defaultMode: 0o440 } },
    { name: 'tmp', emptyDir: {} },
  ]
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: place,
    spec: {
      replicas,
      serviceName: 'orders-nodes',
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      selector: { matchLabels: labels },
      persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled: 'Retain' },
      template: { metadata: { labels }, spec: { containers: [container], volumes, terminationGracePeriodSeconds: 5 } },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }],
    },
  }
}

async function world(t: TestContext, mode: AddressMode): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-kubelet-'))
  const kube = new MemoryKube({ now: () => new Date(), newUid: randomUUID })
  const log = pino({ enabled: false })
  const addresses = await LocalAddresses.open({ mode, random: Math.random })
  const common = { kube, clock: systemClock, random: Math.random, log }
  const sets = startStatefulSetController(common)
  const kubelet = await ProcessKubelet.start({
    ...common,
    select: {},
    folder,
    addresses,
    images: (image) => (image === 'stand-in:1' ? [process.execPath, standIn] : undefined),
    baseEnv: { PATH: process.env['PATH'] ?? '' },
    restartBackOff: { firstMs: 10, maxMs: 50 },
  })
  let closed = false
  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    await sets.close()
    await kubelet.close()
  }
  t.after(async () => {
    await close()
    rmSync(folder, { recursive: true, force: true })
  })
  return { kube, kubelet, addresses, folder, close, claim: (pod) => join(folder, 'claims', `shop_data-${pod}`) }
}

interface Told {
  readonly args: readonly string[]
  readonly name: string
  readonly peers: string
  readonly tmp: string
}

/** What the stand-in answers to any other request. */
async function tellsOfItself({ host, port }: Endpoint): Promise<Told> {
  const asked = get({ host, port, path: '/', rejectUnauthorized: false })
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  return (await json(response)) as Told
}

function condition(pod: KubeObject, type: string): string | undefined {
  return textAt(
    listAt(pod['status'], 'conditions').find((entry) => textAt(entry, 'type') === type),
    'status',
  )
}

async function podOf({ kube }: World, name: string): Promise<KubeObject | undefined> {
  const found = await kube.get({ apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name })
  return found.ok ? found.value : undefined
}

async function readyPod(own: World, name: string): Promise<KubeObject> {
  return until(`${name} to be ready`, async () => {
    const pod = await podOf(own, name)
    return pod !== undefined && condition(pod, 'Ready') === 'True' ? pod : undefined
  })
}

/** Starts `replicas` pods and says that they are ready, as the program in them would. */
async function started(own: World, replicas: number, whenDeleted?: string): Promise<void> {
  must(await own.kube.apply(tls(), 'test'))
  must(await own.kube.apply(statefulSet(replicas, whenDeleted), 'test'))
  for (let ordinal = 0; ordinal < replicas; ordinal += 1) {
    const folder = own.claim(`orders-${ordinal}`)
    await until(`the program of orders-${ordinal}`, () => existsSync(join(folder, 'starts')))
    assert.notEqual(condition((await podOf(own, `orders-${ordinal}`)) ?? statefulSet(0), 'Ready'), 'True')
    writeFileSync(join(folder, 'ready'), '')
    await readyPod(own, `orders-${ordinal}`)
  }
}

const modes: readonly AddressMode[] = process.platform === 'linux' ? ['address-per-pod', 'one-address'] : ['one-address']
for (const mode of modes) {
  test(`pods of a StatefulSet run as processes that find their files, name and peers (${mode})`, async (t) => {
    const own = await world(t, mode)
    await started(own, 2)
    const endpoint = await own.addresses.endpoint({ namespace: 'shop', name: 'orders-1' }, 4001)
    assert.equal(await probe({ ...endpoint, scheme: 'https', path: '/readyz', timeoutMs: 5_000 }), true)
    const told = await tellsOfItself(endpoint)
    const peers = await Promise.all(['orders-0', 'orders-1'].map((name) => own.addresses.endpoint({ namespace: 'shop', name }, 4001)))
    assert.equal(told.name, 'orders-1')
    assert.equal(told.peers, peers.map((peer) => `${peer.host}:${peer.port}`).join(','))
    assert.equal(told.args.at(-1), own.claim('orders-1'))
    assert.ok(told.args.includes('-name=orders-1'))
    assert.equal(told.tmp, join(own.folder, 'pods', 'shop_orders-1', 'volumes', 'tmp'))
    const pod = await readyPod(own, 'orders-1')
    assert.equal(textAt(pod['status'], 'podIP'), endpoint.host)
    assert.equal(textAt(pod['status'], 'phase'), 'Running')
    const set = await until('the StatefulSet to count two ready pods', async () => {
      const found = must(await own.kube.get({ apiVersion: 'apps/v1', kind: 'StatefulSet', ...place }))
      return numberAt(found['status'], 'readyReplicas') === 2 ? found : undefined
    })
    assert.equal(numberAt(set['status'], 'observedGeneration'), 1)
  })
}

test('a process that is killed is started again, and the pod says so', async (t) => {
  const own = await world(t, 'one-address')
  await started(own, 1)
  const pid = own.kubelet.pidOf({ namespace: 'shop', name: 'orders-0' })
  assert.ok(pid !== undefined)
  process.kill(pid, 'SIGKILL')
  const pod = await until('a restart', async () => {
    const found = await podOf(own, 'orders-0')
    const [status] = listAt(found?.['status'], 'containerStatuses')
    return found !== undefined && numberAt(status, 'restartCount') === 1 && condition(found, 'Ready') === 'True' ? found : undefined
  })
  const [status] = listAt(pod['status'], 'containerStatuses')
  assert.equal(numberAt(objectAt(objectAt(status, 'lastState'), 'terminated'), 'exitCode'), 137)
  assert.notEqual(own.kubelet.pidOf({ namespace: 'shop', name: 'orders-0' }), pid)
})

test('a changed Secret reaches the files of a running pod without a restart', async (t) => {
  const own = await world(t, 'one-address')
  await started(own, 1)
  const changed = { ...tls(), data: { ...objectAt(tls(), 'data'), 'tls.crt': Buffer.from('renewed').toString('base64') } }
  must(await own.kube.apply(changed, 'test'))
  const file = join(own.folder, 'pods', 'shop_orders-0', 'volumes', 'tls', 'tls.crt')
  await until('the renewed file', () => readFileSync(file, 'utf8') === 'renewed')
  assert.equal(readFileSync(join(own.claim('orders-0'), 'starts'), 'utf8'), 'started\n')
})

test('a pod waits for a Secret that does not exist yet, and says which', async (t) => {
  const own = await world(t, 'one-address')
  must(await own.kube.apply(statefulSet(1), 'test'))
  const waiting = await until('the pod to say why it waits', async () => {
    const [status] = listAt((await podOf(own, 'orders-0'))?.['status'], 'containerStatuses')
    return textAt(objectAt(objectAt(status, 'state'), 'waiting'), 'message')
  })
  assert.match(waiting, /"tls"/)
  await started(own, 1)
})

test('a deleted pod ends its process and is made anew on the same data', async (t) => {
  const own = await world(t, 'one-address')
  await started(own, 1)
  const before = await readyPod(own, 'orders-0')
  must(await own.kube.remove({ apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'orders-0' }, {}))
  const after = await until('another pod', async () => {
    const pod = await podOf(own, 'orders-0')
    return pod !== undefined && pod.metadata.uid !== before.metadata.uid && condition(pod, 'Ready') === 'True' ? pod : undefined
  })
  assert.equal(after.metadata.name, 'orders-0')
  assert.equal(readFileSync(join(own.claim('orders-0'), 'starts'), 'utf8'), 'started\nstarted\n')
})

test('a status is for one very pod: a successor of the same name is not called ready for its predecessor', async (t) => {
  const own = await world(t, 'one-address')
  await started(own, 1)
  const { kube } = own
  const pod = { namespace: 'shop', name: 'orders-0' }
  const refusals: string[] = []
  const applyStatus = kube.applyStatus.bind(kube)
  // Between the kubelet's look at the pod and its word about it, the pod is replaced by another one: just once.
  let replaced = false
  kube.applyStatus = async (object, manager) => {
    if (manager === 'process-kubelet' && !replaced) {
      replaced = true
      const before = must(await kube.get({ apiVersion: 'v1', kind: 'Pod', ...pod }))
      must(await kube.remove({ apiVersion: 'v1', kind: 'Pod', ...pod }, {}))
      must(await kube.create({ ...before, metadata: { ...before.metadata, uid: 'another' } }))
    }
    const written = await applyStatus(object, manager)
    if (!written.ok) refusals.push(written.problem.message)
    return written
  }
  process.kill(own.kubelet.pidOf(pod) ?? 0, 'SIGKILL')
  await until('a refusal', () => refusals[0])
  assert.match(refusals[0] ?? '', /uid/)
  await until('the second start', () => readFileSync(join(own.claim('orders-0'), 'starts'), 'utf8') === 'started\nstarted\n')
})

test('a program that does not heed SIGTERM is killed after its grace period', async (t) => {
  const own = await world(t, 'one-address')
  must(await own.kube.apply(tls(), 'test'))
  const short = statefulSet(1)
  const template = objectAt(objectAt(short, 'spec'), 'template')
  const spec = { ...objectAt(template, 'spec'), terminationGracePeriodSeconds: 0.2 }
  const set = { ...short, spec: { ...objectAt(short, 'spec'), template: { ...template, spec } } }
  must(await own.kube.apply(set, 'test'))
  await until('the first start', () => existsSync(join(own.claim('orders-0'), 'starts')))
  writeFileSync(join(own.claim('orders-0'), 'stubborn'), '')
  writeFileSync(join(own.claim('orders-0'), 'ready'), '')
  const pod = { namespace: 'shop', name: 'orders-0' }
  process.kill(own.kubelet.pidOf(pod) ?? 0, 'SIGKILL')
  await until('the second start', () => readFileSync(join(own.claim('orders-0'), 'starts'), 'utf8') === 'started\nstarted\n')
  await readyPod(own, 'orders-0')
  const identity = identityOf(own.kubelet.pidOf(pod) ?? 0)
  assert.ok(identity !== undefined)
  await own.close()
  assert.equal(isAlive(identity), false)
})

test('deleting the StatefulSet ends every process; claims go only when it says so', async (t) => {
  for (const whenDeleted of ['Retain', 'Delete']) {
    const own = await world(t, 'one-address')
    await started(own, 2, whenDeleted)
    const identity = identityOf(own.kubelet.pidOf({ namespace: 'shop', name: 'orders-1' }) ?? 0)
    assert.ok(identity !== undefined)
    must(await own.kube.remove({ apiVersion: 'apps/v1', kind: 'StatefulSet', ...place }, {}))
    await until('the process to end', () => !isAlive(identity))
    await until('the folders to go', () => readdirSync(join(own.folder, 'pods')).length === 0)
    if (whenDeleted === 'Delete') await until('the data to go', () => !existsSync(own.claim('orders-1')))
    else assert.equal(existsSync(own.claim('orders-1')), true)
    await own.close()
  }
})

test('an image that stands for no program is refused, not run as something else', async (t) => {
  const own = await world(t, 'one-address')
  must(await own.kube.apply(tls(), 'test'))
  const set = JSON.parse(JSON.stringify(statefulSet(1)).replace('stand-in:1', 'evil:1')) as KubeObject
  must(await own.kube.apply(set, 'test'))
  const reason = await until('the refusal', async () => {
    const [status] = listAt((await podOf(own, 'orders-0'))?.['status'], 'containerStatuses')
    return textAt(objectAt(objectAt(status, 'state'), 'waiting'), 'reason')
  })
  assert.equal(reason, 'ErrImageNeverPull')
  // A time of now would change the status at every look, and the change would wake the kubelet for ever.
  const pod = await podOf(own, 'orders-0')
  const times = listAt(pod?.['status'], 'conditions').map((entry) => textAt(entry, 'lastTransitionTime'))
  assert.deepEqual(new Set(times), new Set([pod?.metadata.creationTimestamp]))
})

test('a process that a killed run left behind is ended by its pid file, and only that very process', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-orphan-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const pidFile = join(folder, 'pid.json')
  const orphan = new LocalProcess({
    program: process.execPath,
    args: ['-e', 'setInterval(() => {}, 1000)'],
    env: {},
    folder,
    logFile: join(folder, 'log'),
    pidFile,
    clock: systemClock,
  })
  t.after(() => orphan.stop(0))
  // Before anything else can happen: nothing is awaited here.
  const identity = readFileSync(pidFile, 'utf8')
  // The number of another process, from another time: it must live.
  const strangers = join(folder, 'stranger.json')
  writeFileSync(strangers, JSON.stringify({ ...(JSON.parse(identity) as object), started: '1' }))
  assert.equal(await killOrphan(strangers, systemClock), false)
  assert.equal(isAlive(JSON.parse(identity) as { pid: number; started: string }), true)
  assert.equal(await killOrphan(pidFile, systemClock), true)
  assert.equal((await orphan.exited).exitCode, 137)
  writeFileSync(pidFile, 'not json')
  assert.equal(await killOrphan(pidFile, systemClock), false)
})
