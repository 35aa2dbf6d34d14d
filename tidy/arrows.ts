// Which room may import which: docs/ARCHITECTURE.md in a form that can fail. Anything that is not listed is forbidden.
import { importsOf, isEntry, isTest } from './source-file.ts'
import type { SourceFile } from './source-file.ts'

interface Arrow {
  /** A room, or one file of a room: the port that is meant. */
  readonly to: string
  /** Only `import type`: shapes, no behaviour. */
  readonly types?: true
}

interface Room {
  readonly arrows: readonly Arrow[]
  /** The only libraries a pure room may use: they compute and touch nothing. Undefined: any. */
  readonly libraries?: readonly string[]
}

const assertions = ['node:assert', 'node:assert/strict']
const types = (to: string): Arrow => ({ to, types: true })
const room = (...to: readonly (string | Arrow)[]): Room => ({
  arrows: to.map((arrow) => (typeof arrow === 'string' ? { to: arrow } : arrow)),
})
const pure = (libraries: readonly string[], ...to: readonly (string | Arrow)[]): Room => ({
  ...room(...to),
  libraries: [...assertions, ...libraries],
})

/** What is pure and not a decision: the codecs of entries and memberships, for whoever writes or sends a log, and seeded randomness for twins of a disk or a network. */
const raftShapes = [types('node/raft'), 'node/raft/entry.ts', 'node/raft/membership-codec.ts', 'node/raft/seeded-random.ts'] as const

export const rooms: Readonly<Record<string, Room>> = {
  contract: pure(['zod']),
  // Only for the command line: one table, read by one parser.
  runtime: room('contract'),
  // crc32 and hashes are arithmetic.
  'node/raft': pure(['node:zlib']),
  'node/command': pure([]),
  'node/replica': room('node/raft', 'runtime'),
  // No database: what is wrong with the log is said in the store's words, since both end the process in the same way.
  'node/log': room(types('node/replica'), ...raftShapes, types('node/store/fatal.ts'), 'runtime'),
  'node/store': room(
    types('node/replica'),
    ...raftShapes,
    'node/log',
    'node/command',
    types('node/api/reader.ts'),
    types('node/api/rehearsal.ts'),
    types('node/api/node-view.ts'),
    types('node/peer/cluster-identity.ts'),
    'runtime',
    'contract',
  ),
  'node/peer': room(
    types('node/replica'),
    ...raftShapes,
    types('node/api/forwarder.ts'),
    types('node/api/node-view.ts'),
    types('node/access/identity.ts'),
    'contract',
    'runtime',
  ),
  // Files from elsewhere and for elsewhere: judged by the gate, their schema read and its views weighed as the store does a client's, copied by the store, in watched processes that end as its own do.
  'node/files': room(
    types('node/api/file-intake.ts'),
    types('node/api/backups.ts'),
    'node/command',
    'node/store/database-copier.ts',
    'node/store/double-quoted-strings.ts',
    'node/store/heavy-names.ts',
    'node/store/killable-process.ts',
    'node/store/self-watch.ts',
    'runtime',
  ),
  'node/access': room('contract', 'runtime'),
  'node/api': room('node/replica', types('node/raft'), 'node/command', 'node/access', 'contract', 'runtime'),
  // The rule for removing silent members counts majorities as the core does.
  'node/lifecycle': room(types('node/replica'), types('node/raft'), 'node/raft/quorum.ts', 'node/access', 'contract', 'runtime'),
  'node/console': room('node/api', 'node/access', 'runtime'),
  'node/sim': room(
    'node/raft',
    'node/replica',
    'node/command',
    'node/log',
    'node/store',
    // Of the peers what decides without a socket: bytes of messages, the first entry of a cluster, who is let in.
    'node/peer/message-codec.ts',
    'node/peer/first-entry.ts',
    'node/peer/hello.ts',
    'node/peer/life-marks.ts',
    'node/peer/member-directory.ts',
  ),
  'operator/resource': room('contract'),
  'operator/desired': pure(['node:crypto', 'yaml'], 'operator/resource', 'contract'),
  'operator/credentials': room('contract'),
  'operator/reconcile': room(
    'operator/desired',
    'operator/resource',
    types('operator/kube'),
    types('operator/members'),
    types('operator/credentials'),
    // Reads a certificate's dates and names: arithmetic on text.
    'operator/credentials/certificate-facts.ts',
    'contract',
    types('runtime'),
  ),
  'operator/controller': room('operator/reconcile', 'operator/resource', types('operator/kube'), 'runtime'),
  'operator/kube': room('contract', 'runtime'),
  'operator/members': room('contract', 'runtime'),
  // The process kubelet and the StatefulSet controller are controllers: the same loop, queue and back-off as the operator's own.
  'operator/local': room('operator/kube', 'operator/controller', 'contract', 'runtime'),
  // The rules look at every file and are imported by the test at the root alone.
  tidy: room(),
}

/** Everybody may import it: types and two functions. */
const result = 'runtime/result.ts'
/** Suites and measurements use whatever they drive. */
const free = ['e2e/', 'bench/']

/** One sentence for each import that no arrow allows. */
export function forbiddenImports(files: readonly SourceFile[]): readonly string[] {
  return files.filter(({ path }) => path.endsWith('.ts')).flatMap(forbiddenIn)
}

function forbiddenIn(file: SourceFile): readonly string[] {
  if (free.some((folder) => file.path.startsWith(folder))) return []
  const home = roomOf(file.path) ?? (isEntry(file.path) ? file.path : undefined)
  if (home === undefined) return file.path.includes('/') ? [`${file.path}: stands in no known room`] : []
  return importsOf(file)
    .filter((found) =>
      found.ours ? !oursAllowed(file.path, home, found.target, found.typeOnly) : !libraryAllowed(file.path, home, found.target),
    )
    .map((found) => `${file.path}: ${home} must not import ${found.target}`)
}

function oursAllowed(path: string, home: string, target: string, typeOnly: boolean): boolean {
  if (target === result || roomOf(target) === home) return true
  // Programs and tests use what is on their side; nobody imports a program.
  if (isEntry(target) && !isTest(path)) return false
  if (isEntry(path) || isTest(path))
    return sideOf(target) === 'shared' || sideOf(target) === sideOf(path) || (isTest(path) && isTest(target))
  return (rooms[home]?.arrows ?? []).some((arrow) => within(target, arrow.to) && (typeOnly || arrow.types === undefined))
}

function libraryAllowed(path: string, home: string, library: string): boolean {
  const allowed = rooms[home]?.libraries
  return allowed === undefined || isEntry(path) || isTest(path) || allowed.includes(library)
}

function within(target: string, arrow: string): boolean {
  return target === arrow || target.startsWith(`${arrow}/`)
}

function roomOf(path: string): string | undefined {
  return Object.keys(rooms).find((name) => path.startsWith(`${name}/`))
}

function sideOf(path: string): string {
  const top = path.split('/', 1)[0] ?? ''
  return top === 'contract' || top === 'runtime' ? 'shared' : top
}
