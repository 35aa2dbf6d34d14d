// The licences of what an image holds besides our own code: the production dependencies of package-lock.json, with the texts that their packages bring along.
// A dependency that is optional is left out: whether it is installed differs from machine to machine, and none of them is loaded.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

interface Locked {
  readonly version?: string
  readonly license?: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly devOptional?: boolean
}

const licenseFile = /^(?:licen[cs]e|copying|notice)(?:\.|$)/i

/** For `/licenses`, below our own licence. Ends with a newline. */
export function thirdPartyLicenses(root: string): string {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { readonly packages: Readonly<Record<string, Locked>> }
  const namesByText = new Map<string, string[]>()
  const installed = Object.entries(lock.packages).filter(
    ([path, { dev, optional, devOptional }]) => path !== '' && dev !== true && optional !== true && devOptional !== true,
  )
  for (const [path, { version = '', license = 'unknown licence' }] of installed) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    const text = textOf(join(root, path)) ?? `(${license}; the package brings no text along)`
    const names = namesByText.get(text) ?? []
    namesByText.set(text, [...names, `${name} ${version} (${license})`])
  }
  const sections = [...namesByText].map(([text, names]) => `${names.join('\n')}\n\n${text}\n`)
  return `SQLite, which better-sqlite3 holds, is in the public domain. Node.js and what it holds: https://github.com/nodejs/node/blob/main/LICENSE\n\n${sections.join(`${'-'.repeat(80)}\n`)}`
}

function textOf(folder: string): string | undefined {
  const files = readdirSync(folder).filter((name) => licenseFile.test(name))
  if (files.length === 0) return undefined
  return files
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim())
    .join('\n\n')
}
