// The demo's folder below the system's temporary folder, and what a killed demo has left there: nobody can clean up after SIGKILL but the next one.
import { lstat, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../controller/clock.ts'
import { killOrphan } from './local-process.ts'
import { identityOf, isAlive } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'

const prefix = 'securesql-demo-'
const ownerFile = 'owner.json'

/** A new folder (0700), marked as belonging to the process `pid`. */
export async function makeDemoFolder(temporary: string, pid: number): Promise<string> {
  const folder = await mkdtemp(join(temporary, prefix))
  await writeFile(join(folder, ownerFile), JSON.stringify(identityOf(pid)), { mode: 0o600 })
  return folder
}

/** Ends the processes and removes the folders of demos that are no longer running; gives the folders. Only what belongs to user `uid` is touched. */
export async function removeStaleDemos(temporary: string, uid: number | undefined, clock: Clock): Promise<readonly string[]> {
  const removed: string[] = []
  for (const name of await readdir(temporary)) {
    if (!name.startsWith(prefix)) continue
    const folder = join(temporary, name)
    const facts = await lstat(folder).catch(() => undefined)
    if (facts?.isDirectory() !== true || (uid !== undefined && facts.uid !== uid)) continue
    const owner = await ownerOf(folder)
    // Without an owner it may be one that is just being made.
    if (owner === undefined || isAlive(owner)) continue
    const pods = await readdir(join(folder, 'pods')).catch(() => [])
    for (const pod of pods) await killOrphan(join(folder, 'pods', pod, 'pid.json'), clock)
    await rm(folder, { recursive: true, force: true })
    removed.push(folder)
  }
  return removed
}

/** What group or others may do anything with, below `folder` and the folder itself. A link's own mode says nothing. */
export async function openToOthers(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = [folder, ...entries.filter((entry) => !entry.isSymbolicLink()).map((entry) => join(entry.parentPath, entry.name))]
  const open: string[] = []
  for (const path of paths) {
    // Files come and go while nodes write.
    const facts = await lstat(path).catch(() => undefined)
    if (facts !== undefined && (facts.mode & 0o077) !== 0) open.push(path)
  }
  return open
}

async function ownerOf(folder: string): Promise<ProcessIdentity | undefined> {
  try {
    const { pid, started } = JSON.parse(await readFile(join(folder, ownerFile), 'utf8')) as Partial<ProcessIdentity>
    return typeof pid === 'number' && typeof started === 'string' ? { pid, started } : undefined
  } catch {
    // Absent or half written.
    return undefined
  }
}
