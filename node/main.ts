#!/usr/bin/env node
// The node: composes the rooms and runs them until SIGTERM. `node node/main.ts -help` lists the flags.
// Order of start: configuration, access file, certificates, data directory, API (it answers "not ready" from here on), Raft port, cluster, replica.
import { randomBytes, randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { formatHostPort } from '../contract/host-port.ts'
import type { ConfigurationWarning, NodeConfiguration } from '../contract/node-configuration.ts'
import { parseNodeArguments } from '../runtime/flags.ts'
import { isPortFree } from '../runtime/is-port-free.ts'
import { makeLogger, type Logger } from '../runtime/log.ts'
import { Metrics } from '../runtime/metrics.ts'
import { fail } from '../runtime/result.ts'
import { JoinAuthority } from './access/join-authority.ts'
import { openAccess, type OpenedAccess } from './access/open-access.ts'
import type { ForwardedRequestHandler } from './api/forwarder.ts'
import { askForReport, askForStateHash } from './api/check-endpoints.ts'
import type { Checks } from './api/checks.ts'
import { nodeFacts } from './api/node-facts.ts'
import type { NodeView } from './api/node-view.ts'
import { openApi, type OpenedApi } from './api/open-api.ts'
import { openFiles, type OpenedFiles } from './files/open-files.ts'
import { ContentChecks } from './lifecycle/content-checks.ts'
import { stopInOrder, type StoppingParts } from './lifecycle/orderly-stop.ts'
import { seedBytes } from './command/entry-moment.ts'
import { encodeLoadStep } from './command/load-step.ts'
import { encodeUpkeep } from './command/upkeep.ts'
import { AbandonedLoads } from './lifecycle/abandoned-loads.ts'
import { Housekeeping } from './lifecycle/housekeeping.ts'
import type { LeaderDoor } from './lifecycle/leader-door.ts'
import { StateHashVote } from './lifecycle/state-hash-vote.ts'
import { Reaper } from './lifecycle/reaper.ts'
import { keepLinksWarm } from './lifecycle/warm-links.ts'
import { peerTlsRules, readStartFiles, type StartFiles } from './lifecycle/start-files.ts'
import { writeFirstEntry } from './peer/first-entry.ts'
import { openPeers, type Peers } from './peer/open-peers.ts'
import { peerReports } from './peer/peer-reports.ts'
import { parseNodeId } from './raft/membership-codec.ts'
import type { Membership, NodeId } from './raft/membership.ts'
import { raftReports } from './replica/raft-reports.ts'
import { compactionLimits, raftLimits, stateHashEveryEntries } from './replica/production-limits.ts'
import { raftTimingOf } from './replica/raft-timing.ts'
import { ReplicaLoop } from './replica/replica.ts'
import { systemClock } from './replica/system-clock.ts'
import { encodeCheckMark } from './store/check-mark.ts'
import { comparedIndex, encodeComparison } from './store/state-hash.ts'
import type { FatalProblem } from './store/fatal.ts'
import { openStore, type Store } from './store/open-store.ts'
import { readerLimits } from './store/reader-limits.ts'

const exitCodes = { refused: 1, fatal: 70, formation: 75 } as const
/** What the node proposes by itself waits for nobody longer than this. */
const internalMsMax = 10_000
/** An orchestrator's patience with SIGTERM is ten seconds. */
const stopWithinMs = 9_500

interface Ground {
  readonly configuration: NodeConfiguration
  readonly nodeId: NodeId
  readonly version: string
  readonly logger: Logger
  readonly metrics: Metrics
}

function refuse(message: string): never {
  console.error(`securesql-node: ${message}`)
  process.exit(exitCodes.refused)
}

/** For problems found after the log exists: one line for machines, one for the person who typed the command. */
function refuseWith(ground: Ground, problem: { readonly code: string; readonly message: string }): never {
  ground.logger.fatal({ code: problem.code }, 'node not started')
  return refuse(`${problem.message} (${problem.code})`)
}

function programVersion(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) // our own file
  return manifest.version
}

function configure(version: string): { readonly configuration: NodeConfiguration; readonly warnings: readonly ConfigurationWarning[] } {
  const parsed = parseNodeArguments(process.argv.slice(2))
  if (!parsed.ok) refuse(`${parsed.problem.message} (${parsed.problem.code})`)
  switch (parsed.value.kind) {
    case 'help':
      console.log(parsed.value.text)
      return process.exit(0)
    case 'version':
      console.log(`securesql-node ${version} node ${process.version}`)
      return process.exit(0)
    case 'run':
      return parsed.value
  }
}

async function openPeersOf(
  ground: Ground,
  parts: {
    readonly files: StartFiles
    readonly store: Store
    readonly access: OpenedAccess
    readonly replica: () => ReplicaLoop | undefined
    readonly handler: () => ForwardedRequestHandler | undefined
  },
): Promise<Peers> {
  const { configuration, version, logger, metrics } = ground
  const { raft, http, join } = configuration
  const { tls } = raft
  const { store } = parts
  const termAtStart = store.log.hardState.term
  const opened = await openPeers({
    identity: store.identity,
    // An entry is applied when it is durable here, so its term is too.
    durableTerm: () => Math.max(termAtStart, store.stateMachine.appliedTerm),
    trust: () => store.trust.trust,
    version,
    addresses: { bind: raft.listen, raftAddress: formatHostPort(raft.advertised), apiUrl: http.advertisedUrl },
    tls: tls === undefined || parts.files.nodeTls === undefined ? undefined : { files: parts.files.nodeTls, rules: peerTlsRules(tls) },
    authorizer: new JoinAuthority(parts.access.access),
    formation: {
      join: join.targets,
      discovery: parts.files.discovery,
      as: raft.isNonVoter ? 'read-only' : 'voter',
      attempts: join.attempts,
      intervalMs: join.intervalMs,
      expect: join.bootstrapExpect === 0 ? undefined : join.bootstrapExpect,
      expectTimeoutMs: join.bootstrapExpectTimeoutMs,
      credentials: parts.files.credentials,
      apiTrust: { ca: parts.files.apiCa, noVerify: !http.verifyServers },
      hasLog: store.log.reader.lastIndex() > 0,
    },
    replica: parts.replica,
    snapshots: () => store.snapshots,
    forwardedRequestHandler: parts.handler,
    clock: systemClock,
    random: Math.random,
    onEvent: peerReports({ logger, metrics, clock: systemClock }),
  })
  return opened.ok ? opened.value : refuseWith(ground, opened.problem)
}

/** What the loop compares is what most voters have. */
function votingMachine(ground: Ground, store: Store, peers: Peers, replica: () => ReplicaLoop): StateHashVote {
  return new StateHashVote({
    ...ground,
    machine: store.stateMachine,
    status: () => replica().status(),
    ask: (member, index) => askForStateHash(peers.forwarder, member, index),
    indexOf: comparedIndex,
    encode: encodeComparison,
    propose: (payload) => replica().propose(payload, { timeoutMs: internalMsMax, entryKind: 'state-hash' }),
    clock: systemClock,
  })
}

function openReplica(ground: Ground, store: Store, peers: Peers, bootstrap: Membership): ReplicaLoop {
  const { heartbeatTimeoutMs, electionTimeoutMs, leaderLeaseMs, commitTimeoutMs, compaction } = ground.configuration.raft
  const { commitNewsTicks, ...timing } = raftTimingOf({ heartbeatTimeoutMs, electionTimeoutMs, leaderLeaseMs, commitTimeoutMs })
  const replica: ReplicaLoop = new ReplicaLoop({
    id: ground.nodeId,
    log: store.log,
    stateMachine: votingMachine(ground, store, peers, () => replica),
    snapshots: store.snapshots,
    snapshotSource: peers.snapshotSource,
    trust: store.trust,
    transport: peers.transport,
    clock: systemClock,
    bootstrap,
    ...timing,
    seed: randomInt(2 ** 31),
    limits: { ...raftLimits, commitNewsTicks },
    compaction: { everyEntries: compaction.everyEntries, intervalMs: compaction.intervalMs, ...compactionLimits },
    stateHashEveryEntries,
  })
  raftReports({ replica, logger: ground.logger, metrics: ground.metrics })
  return replica
}

/** Asked again when they are opened; asked now so that a mistyped address leaves no data directory behind. */
async function refuseTakenAddresses(ground: Ground): Promise<void> {
  const { http, raft } = ground.configuration
  for (const address of [http.listen, raft.listen]) {
    if (await isPortFree(address.host, address.port)) continue
    refuseWith(ground, {
      code: 'address_in_use',
      message: `cannot listen on ${formatHostPort(address)}: it is in use, or not this machine's`,
    })
  }
}

async function openStoreOf(ground: Ground): Promise<Store> {
  const { configuration, nodeId, logger } = ground
  const opened = await openStore({
    dataDir: configuration.dataDir,
    nodeId,
    onFatal: (problem) => dieOf(logger, problem),
    logger: logger.child({ part: 'store' }),
    readers: readerLimits({
      cores: availableParallelism(),
      memoryBytes: Math.min(process.constrainedMemory() || Infinity, totalmem()),
      connectionsMax: configuration.database.readersMax,
    }),
  })
  return opened.ok ? opened.value : refuseWith(ground, opened.problem)
}

function openFilesOf({ configuration, logger }: Ground, store: Store): OpenedFiles {
  return openFiles({ dataDir: configuration.dataDir, copier: store.copier, databaseBytes: () => store.facts().databaseBytes, logger })
}

/** The disk or the database has refused: nothing may be written or answered any more, an orchestrator starts the node anew. */
function dieOf(logger: Logger, problem: FatalProblem): never {
  logger.fatal({ part: 'store', code: problem.code, reason: problem.message, err: problem.cause }, 'node ends')
  process.exit(exitCodes.fatal)
}

/** An exit joins all threads, and one that is inside of SQLite cannot be ended: what is on the disk is safe from a signal as well. */
function end(code: number, store: Store): never {
  if (store.isHeldUp()) process.kill(process.pid, 'SIGKILL')
  return process.exit(code)
}

/** Stops once, for whichever reason comes first; the process ends with it. */
function stopper(ground: Ground, parts: StoppingParts & { readonly store: Store }): (reason: string) => void {
  const { logger } = ground
  let isStopping = false
  const stop = async (reason: string): Promise<void> => {
    logger.info({ reason }, 'node stopping')
    setTimeout(() => {
      logger.error('stopping took too long')
      end(exitCodes.fatal, parts.store)
    }, stopWithinMs).unref()
    await stopInOrder(parts)
    logger.info('node stopped')
    end(0, parts.store)
  }
  return (reason) => {
    if (!isStopping) void stop(reason)
    isStopping = true
  }
}

function encodeNow(upkeep: Parameters<typeof encodeUpkeep>[0]): Uint8Array {
  return encodeUpkeep(upkeep, { proposedAtMs: systemClock.wallMs(), seed: randomBytes(seedBytes) })
}

function checksOf(store: Store, running: () => ContentChecks | undefined): Checks {
  return {
    begin: async (asked) => (await running()?.begin(asked)) ?? fail({ code: 'closing', leader: undefined }),
    report: () => store.checks.report(),
    result: () => store.checks.result(),
    endedAtMs: () => store.checks.endedAtMs,
    stateHashAt: (index) => store.stateMachine.stateHashAt(index),
  }
}

/** What looks after the cluster while the node runs. */
function lookAfter(
  ground: Ground,
  replica: ReplicaLoop,
  around: { readonly api: OpenedApi; readonly peers: Peers; readonly store: Store; readonly stop: (reason: string) => void },
): ContentChecks {
  const { configuration, logger, metrics } = ground
  const { reaping, leaving } = configuration.raft
  const reaper = new Reaper({
    replica,
    ...reaping,
    expectedVoters: configuration.join.bootstrapExpect,
    clock: systemClock,
    logger,
    metrics,
  })
  const door: LeaderDoor = { leads: () => replica.leads(), propose: (payload, asked) => around.api.proposeUpkeep(payload, asked) }
  const housekeeping = new Housekeeping({
    door,
    ...configuration.database,
    clusterForeignKeys: () => around.store.facts().foreignKeys,
    clusterVacuumedAtMs: () => around.store.vacuumedAtMs(),
    encode: encodeNow,
    clock: systemClock,
    logger,
  })
  const abandonedLoads = new AbandonedLoads({
    door,
    roomLeft: () => around.store.roomLeft(),
    encode: { abort: (id) => encodeLoadStep({ kind: 'load-abort', id }), vacuum: () => encodeNow('vacuum') },
    clock: systemClock,
    logger,
  })
  const checks = new ContentChecks({
    replica,
    propose: (payload, asked) => replica.propose(payload, { ...asked, entryKind: 'state-hash' }),
    own: around.store.checks,
    ask: (member) => askForReport(around.peers.forwarder, member),
    encode: encodeCheckMark,
    intervalMs: configuration.database.checkIntervalMs,
    clock: systemClock,
    logger,
    metrics,
  })
  keepLinksWarm({ replica, reach: (member, options) => around.peers.reach(member, options), clock: systemClock })
  const heed = (): void => {
    if (replica.standing() !== 'removed') return
    reaper.close()
    housekeeping.close()
    abandonedLoads.close()
    checks.close()
    if (leaving.exitWhenRemoved) around.stop('removed')
  }
  replica.onLoopEvent((event) => {
    if (event.kind === 'standing-changed') heed()
  })
  heed()
  return checks
}

async function run(ground: Ground): Promise<void> {
  const { configuration, logger, metrics } = ground
  const { http } = configuration
  const { capacity, batchSize, timeoutMs, transaction } = configuration.writeQueue
  const access = await openAccess({ file: configuration.accessFile, logger, metrics })
  if (!access.ok) return refuseWith(ground, access.problem)
  const read = readStartFiles(configuration, { environment: process.env, clock: systemClock, logger, metrics })
  if (!read.ok) return refuseWith(ground, read.problem)
  const files = read.value
  await refuseTakenAddresses(ground)
  const store = await openStoreOf(ground)
  let replica: ReplicaLoop | undefined
  let checks: ContentChecks | undefined
  let handler: ForwardedRequestHandler | undefined
  const peers = await openPeersOf(ground, { files, store, access: access.value, replica: () => replica, handler: () => handler })
  const view: NodeView = {
    facts: nodeFacts({ ...ground, startedAtMs: systemClock.wallMs(), trailingEntries: compactionLimits.trailingEntries }),
    replica: () => replica,
    reach: (member, options) => peers.reach(member, options),
    store: () => store.facts(),
  }
  const api = await openApi({
    listen: http.listen,
    tls:
      files.apiTls === undefined
        ? undefined
        : { files: files.apiTls, verifyClient: http.tls?.verifyClient === true, clientCommonName: http.tls?.clientCommonName },
    access: access.value.access,
    view,
    reader: store.reader,
    rehearsal: store.rehearsal,
    forwarder: peers.forwarder,
    compactor: { compact: async (asked) => (await replica?.compact(asked)) ?? fail({ code: 'closing', leader: undefined }) },
    checks: checksOf(store, () => checks),
    applyTimeoutMs: configuration.raft.applyTimeoutMs,
    writeQueue: { capacity, batchSize, timeoutMs, transaction },
    ...openFilesOf(ground, store),
    logger,
    metrics,
    allowOrigin: http.allowOrigin,
  })
  if (!api.ok) return refuseWith(ground, api.problem)
  handler = api.value.handler
  logger.info({ api: formatHostPort(api.value.address), raft: formatHostPort(peers.address) }, 'listening')
  store.warm()
  const { leaving } = configuration.raft
  const stop = stopper(ground, {
    access: access.value,
    api: api.value,
    peers,
    store,
    replica: () => replica,
    leaving,
    clock: systemClock,
    logger,
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal))
  const cluster = await peers.formation()
  if (!cluster.ok) {
    if (cluster.problem.code === 'closing') return
    logger.fatal({ code: cluster.problem.code }, 'no cluster')
    console.error(`securesql-node: ${cluster.problem.message} (${cluster.problem.code})`)
    process.exit(exitCodes.formation)
  }
  if (cluster.value.origin === 'formed') await writeFirstEntry(store.log, cluster.value.members)
  // Who joins has no membership of its own yet: it follows whoever leads, and learns it from the log.
  replica = openReplica(ground, store, peers, cluster.value.origin === 'formed' ? cluster.value.members : { members: [] })
  checks = lookAfter(ground, replica, { api: api.value, peers, store, stop })
}

process.umask(0o077)
const version = programVersion()
const { configuration, warnings } = configure(version)
const nodeId = parseNodeId(configuration.nodeId)
if (!nodeId.ok) refuse(`-node-id ${configuration.nodeId} cannot be used: 1 to 255 printable characters without spaces and commas`)
const logger = makeLogger({ level: configuration.raft.logLevel })
for (const warning of warnings) logger.warn({ code: warning.code }, warning.message)
await run({ configuration, nodeId: nodeId.value, version, logger, metrics: new Metrics() })
