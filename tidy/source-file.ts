// A file of the project as the rules see it, and how the tree is read.
import { readFileSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'

export interface SourceFile {
  /** Relative to the root, forward slashes. */
  readonly path: string
  readonly text: string
}

export interface Import {
  /** A path of ours relative to the root, or the name of a library (`zod`, `node:fs`). */
  readonly target: string
  readonly ours: boolean
  /** `import type`: leaves nothing behind at run time. */
  readonly typeOnly: boolean
}

const foldersLeftOut = new Set(['node_modules', '.git', '.cache'])
// What is not text, or not written by us.
const filesLeftOut = /(^|\/)(package-lock\.json|go\.sum)$|\.(png|ico|log)$/

/** Every text file of the project, sorted by path. */
export function readTree(root: string): readonly SourceFile[] {
  return pathsBelow(root, '')
    .filter((path) => !filesLeftOut.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

function pathsBelow(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) return foldersLeftOut.has(entry.name) ? [] : pathsBelow(root, path)
    return entry.isFile() ? [path] : []
  })
}

const statement = /(?:^|\n)\s*(?:import|export)\s+(type\s)?(?:[\w*{][^'"`;]*?\sfrom\s+)?'([^']+)'/g
const dynamic = /\bimport\(\s*'([^']+)'\s*\)/g

/** Static imports and re-exports, and dynamic imports of a plain string. */
export function importsOf(file: SourceFile): readonly Import[] {
  const written = [...file.text.matchAll(statement)].map((match) => ({ from: match[2] ?? '', typeOnly: match[1] !== undefined }))
  const awaited = [...file.text.matchAll(dynamic)].map((match) => ({ from: match[1] ?? '', typeOnly: false }))
  return [...written, ...awaited].map(({ from, typeOnly }) => ({
    target: from.startsWith('.') ? posix.join(posix.dirname(file.path), from) : from,
    ours: from.startsWith('.'),
    typeOnly,
  }))
}

/** Tests, suites, and what exists for them alone (twins' contracts, certificates for tests). */
export function isTest(path: string): boolean {
  const name = posix.basename(path)
  return /\.(test|suite)\.ts$/.test(name) || name.startsWith('test-') || /-contract(-[a-z]+)?\.ts$/.test(name)
}

/** What writes files of this project from the code: flags, licences, metrics, the CRD. */
const generator = /^(contract|operator\/resource|tidy)\/write-[a-z-]+\.ts$/

/** Programs: they compose, and they alone speak to the process. */
export function isEntry(path: string): boolean {
  return /(^|\/)main\.ts$/.test(path) || generator.test(path) || path === 'operator/local/demo.ts'
}
