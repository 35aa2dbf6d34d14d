// A Secret as files, the way the kubelet does it: the files lie in a folder of their own, `..data` is a link to it, each file name a link into `..data`. A change
// makes a new folder and turns the link in one rename: a reader sees all old files or all new ones, never a certificate with another one's key.
import { mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, normalize } from 'node:path'

/** By path within the folder. */
export type SecretContents = ReadonlyMap<string, Buffer>

/** Nobody else may read: the node program refuses keys that others can read. The volume's own mode is meant for pods with users of their own. */
const fileMode = 0o600
const folderMode = 0o700

/** Makes `folder` have just these files; `false` when it already had. */
export async function writeSecretFiles(folder: string, contents: SecretContents): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: folderMode })
  if (await holds(folder, contents)) return false
  const data = basename(await mkdtemp(join(folder, '..data-')))
  for (const [path, bytes] of contents) {
    const file = join(folder, data, withinFolder(path))
    await mkdir(dirname(file), { recursive: true, mode: folderMode })
    await writeFile(file, bytes, { mode: fileMode, flag: 'wx' })
  }
  // Left over when a former run was killed right here.
  await rm(join(folder, '..data_tmp'), { force: true })
  await symlink(data, join(folder, '..data_tmp'))
  await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  await linkNames(folder, contents)
  await removeOld(folder, data)
  return true
}

async function holds(folder: string, contents: SecretContents): Promise<boolean> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('..'))
  if (names.length !== new Set([...contents.keys()].map(firstPart)).size) return false
  for (const [path, bytes] of contents) {
    const present = await readFile(join(folder, withinFolder(path))).catch(() => undefined)
    if (present === undefined || !present.equals(bytes)) return false
  }
  return true
}

async function linkNames(folder: string, contents: SecretContents): Promise<void> {
  const wanted = new Set([...contents.keys()].map(firstPart))
  const present = new Set((await readdir(folder)).filter((name) => !name.startsWith('..')))
  for (const name of wanted) if (!present.has(name)) await symlink(join('..data', name), join(folder, name))
  for (const name of present) if (!wanted.has(name)) await unlink(join(folder, name))
}

async function removeOld(folder: string, current: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name.startsWith('..') && name !== '..data' && name !== current) await rm(join(folder, name), { recursive: true, force: true })
}

function firstPart(path: string): string {
  return withinFolder(path).split('/')[0] ?? ''
}

/** A key's path comes from a pod's specification: it must not lead out of the folder. */
function withinFolder(path: string): string {
  const normal = normalize(path)
  if (normal === '.' || normal.startsWith('..') || isAbsolute(normal)) throw new RangeError(`not a path within a volume: ${path}`)
  return normal
}
