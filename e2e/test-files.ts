// Which test files belong to `npm test`: everything that needs no root, no cluster and no minutes.
import { readdirSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

// Suites with their own entry points, and what is not ours.
const foldersLeftOut = ['node_modules', '.git', '.cache', 'e2e/apiserver', 'e2e/processes']

/** Paths relative to `root`, with forward slashes, sorted. */
export function testFiles(root: string): readonly string[] {
  return filesBelow(root, root)
    .filter((path) => path.endsWith('.test.ts'))
    .sort()
}

function filesBelow(root: string, folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    const name = relative(root, path).split(sep).join('/')
    if (entry.isDirectory()) return foldersLeftOut.includes(name) || entry.name === 'node_modules' ? [] : filesBelow(root, path)
    return [name]
  })
}

/** Splits the arguments of `npm test -- …`: options of node's runner, and parts of file names that select files (none: all). */
export function selectTests(
  files: readonly string[],
  argv: readonly string[],
): { readonly options: readonly string[]; readonly files: readonly string[] } {
  const options = argv.filter((argument) => argument.startsWith('-'))
  const wanted = argv.filter((argument) => !argument.startsWith('-'))
  return {
    options,
    files: wanted.length === 0 ? files : files.filter((file) => wanted.some((part) => file.includes(part.replace(/^\.\//, '')))),
  }
}

/**
 * How many tests a run of node's spec reporter had; undefined when it never came to its summary. Node counts a file in which no test ran as one passed test
 * under the file's name: such files are not tests here.
 */
export function countTests(
  lines: Iterable<string>,
  files: readonly string[],
): { readonly tests: number | undefined; readonly emptyFiles: readonly string[] } {
  let counted: number | undefined
  const emptyFiles: string[] = []
  for (const line of lines) {
    const total = /^ℹ tests (\d+)$/.exec(line)?.[1]
    if (total !== undefined) counted = Number(total)
    const passed = /^✔ (\S+) \([\d.]+ms\)$/.exec(line)?.[1]
    if (passed !== undefined && files.includes(passed)) emptyFiles.push(passed)
  }
  return { tests: counted === undefined ? undefined : counted - emptyFiles.length, emptyFiles }
}
