// House rules (docs/STYLE.md) that text alone can break. Each rule takes the tree and gives one sentence a violation.
import { posix } from 'node:path'
import { importsOf, isEntry, isTest } from './source-file.ts'
import type { SourceFile } from './source-file.ts'

export type Rule = (files: readonly SourceFile[]) => readonly string[]

const linesMax = 400
const readmeLinesMax = 60
const namesBanned = /^index$|^types$|^(.*-)?(utils?|helpers?|common|misc)$/

function perFile(matches: (file: SourceFile) => boolean, check: (file: SourceFile) => string | undefined): Rule {
  return (files) =>
    files.filter(matches).flatMap((file) => {
      const found = check(file)
      return found === undefined ? [] : [`${file.path}: ${found}`]
    })
}

function forbid(matches: (file: SourceFile) => boolean, pattern: RegExp, why: string): Rule {
  return perFile(matches, ({ text }) => {
    const found = pattern.exec(text)
    return found === null ? undefined : `line ${text.slice(0, found.index).split('\n').length}: ${found[0].trim()}: ${why}`
  })
}

const isTypeScript = ({ path }: SourceFile): boolean => path.endsWith('.ts')
const isDriver = ({ path }: SourceFile): boolean => /^(e2e|bench)\//.test(path)
/** The rules and their samples hold what they forbid. */
const isTidy = ({ path }: SourceFile): boolean => path.startsWith('tidy')
const isOurCode = (file: SourceFile): boolean =>
  isTypeScript(file) && !isEntry(file.path) && !isTest(file.path) && !isDriver(file) && !isTidy(file)

/** Where a program is nothing but that one thing: each with its reason. */
const processAllowed: Readonly<Record<string, string>> = {
  'node/files/backup-writer.ts': 'a program that the node starts',
  'node/files/file-examiner.ts': 'a program that the node starts',
  'node/store/check-process.ts': 'a program that the node starts',
  'node/store/reader-process.ts': 'a program that the node starts',
  'node/store/starter-process.ts': 'a program that the node starts',
  'node/store/rehearsal-process.ts': 'a program that the node starts',
  'node/store/snapshot-examiner.ts': 'a program that the node starts',
  'node/store/self-watch.ts': 'ends its program when the node is gone',
}

export const fileNames: Rule = (files) =>
  files
    .filter(isTypeScript)
    .filter(({ path }) => {
      const name = posix.basename(path).replace(/(\.(test|suite))?\.ts$/, '')
      return namesBanned.test(name) || !/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)
    })
    .map(({ path }) => `${path}: name the file by its one concept, in kebab-case`)

export const fileSizes: Rule = perFile(isTypeScript, ({ text }) => {
  const lines = text.trimEnd().split('\n').length
  return lines > linesMax ? `${lines} lines, more than ${linesMax}` : undefined
})

export const processInEntriesOnly: Rule = (files) =>
  forbid(
    (file) => isOurCode(file) && processAllowed[file.path] === undefined,
    /\bprocess\.(env|argv|exit\w*|abort|chdir|stdin|stdout|stderr|on|once)\b/,
    'only programs (main.ts) speak to the process',
  )(files)

/** They fork for all others. */
const starters = ['node/store/process-starter.ts', 'node/store/starter-process.ts']

export const oneWayToStartProcesses: Rule = forbid(
  (file) => isTypeScript(file) && /^node\/(?!sim\/)/.test(file.path) && !isTest(file.path) && !starters.includes(file.path),
  /'(node:)?child_process'/,
  'a fork stops the node for as long as it is large: use killable-process.ts (ADR 16)',
)

export const noConsole: Rule = forbid(isOurCode, /\bconsole\.\w+\(/, 'log through the logger that was passed in')

export const noDefaultExport: Rule = forbid(isTypeScript, /^export default\b/m, 'export by name')

export const noOpenTasks: Rule = forbid(
  (file) => isTypeScript(file) && !isTidy(file),
  /\b(TODO|FIXME|XXX)\b(?!.*#\d)/,
  'name the issue (#number) or do it',
)

/** `skip: 'reason'` and `skip: condition && 'reason'` are fine: the runner prints the reason. */
export const noSkippedTests: Rule = forbid(
  (file) => isTest(file.path) && !isTidy(file),
  /\b(test|it|describe|suite)\.(only|skip|todo)\(|\b(only|skip|todo): true\b/,
  'a test that never runs needs a reason: { skip: "why" }',
)

export const testsInTestFiles: Rule = perFile(
  ({ path }) => /\.(test|suite)\.ts$/.test(path),
  ({ text }) => (/\b(test|it|describe|suite)\(|Contract\(|[cC]ontract\w*\(/.test(text) ? undefined : 'holds no test'),
)

/** A stranger's clone has no such folders. */
export const noWordOfThisMachine: Rule = forbid(() => true, /\/work\/|\/tmp\/brief/, 'a path of one machine')

export const roomReadmes =
  (rooms: readonly string[]): Rule =>
  (files) =>
    rooms
      .filter((room) => files.some(({ path }) => path.startsWith(`${room}/`) && path.endsWith('.ts')))
      .flatMap((room) => {
        const readme = files.find(({ path }) => path === `${room}/README.md`)
        if (readme === undefined) return [`${room}: has no README.md`]
        const lines = readme.text.trimEnd().split('\n').length
        return lines > readmeLinesMax ? [`${room}/README.md: ${lines} lines, more than ${readmeLinesMax}`] : []
      })

export const noDeadFiles: Rule = (files) => {
  const used = new Set(files.filter(isTypeScript).flatMap((file) => [...importsOf(file).map(({ target }) => target), ...namedIn(file)]))
  return files
    .filter(
      (file) =>
        isTypeScript(file) && !isEntry(file.path) && !/\.(test|suite)\.ts$/.test(file.path) && !/^(e2e|bench)\/[^/]+\.ts$/.test(file.path),
    )
    .filter(({ path }) => !used.has(path))
    .map(({ path }) => `${path}: nobody imports it`)
}

/** Files started as a thread or process: `new URL('./worker.ts', import.meta.url)` or `join(import.meta.dirname, 'worker.ts')`. */
function namedIn(file: SourceFile): readonly string[] {
  return [...file.text.matchAll(/'(\.{0,2}\/?[\w./-]+\.ts)'/g)].map((match) => posix.join(posix.dirname(file.path), match[1] ?? ''))
}

export const exactVersions: Rule = perFile(
  ({ path }) => path === 'package.json',
  ({ text }) => {
    const manifest = JSON.parse(text) as Readonly<Record<string, Readonly<Record<string, string>> | undefined>>
    const ranges = ['dependencies', 'devDependencies', 'optionalDependencies', 'overrides']
      .flatMap((section) => Object.entries(manifest[section] ?? {}))
      .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    return ranges.length === 0 ? undefined : `not an exact version: ${ranges.map(([name]) => name).join(', ')}`
  },
)
