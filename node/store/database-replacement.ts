// Another database file in the place of the present one, while the node goes on: everybody who has it open closes it, the file is swapped (snapshot-install.ts), and
// everybody opens what then lies there. Blocks for some milliseconds; nothing else happens in between.
import { dirname } from 'node:path'
import type { LogBase } from '../raft/raft-port.ts'
import { removeInSteps } from './removal-in-steps.ts'
import { snapshotPaths } from './snapshot-directory.ts'
import { beginInstall, endInstall, installFiles, swapDatabase, type InstallIntent, type InstallPlace } from './snapshot-install.ts'

/** `same`: what the new file holds is what the present one does, in another form. */
export type NewContent = 'same' | 'other'

/** Whoever has the database open: closes it, and opens what then has its name. Both synchronous. */
export interface DatabaseUser {
  suspend(content: NewContent): void
  resume(): void
}

export class DatabaseReplacement {
  readonly #place: InstallPlace
  readonly #users: readonly DatabaseUser[]

  /** `users`: in the order in which they open it again. */
  constructor(place: InstallPlace, users: readonly DatabaseUser[]) {
    this.#place = place
    this.#users = users
  }

  /** `from`: a whole database, durable, on the same file system. Throws what the file system or SQLite throws; then the process must end, and the next start goes on. */
  replace(from: string, intent: InstallIntent, content: NewContent): void {
    beginInstall(this.#place, intent, from)
    for (const user of this.#users.toReversed()) user.suspend(content)
    swapDatabase(this.#place)
    for (const user of this.#users) user.resume()
  }

  /** The log fits the new database durably. */
  ended(): void {
    endInstall(this.#place)
    void removeInSteps(this.#place.paths.replaced)
  }
}

/** By whoever alone has the database open. */
export function replaceAlone(user: DatabaseUser, from: string, at: { readonly point: LogBase; readonly databasePath: string }): void {
  const { point, databasePath } = at
  const paths = snapshotPaths(dirname(databasePath))
  const replacement = new DatabaseReplacement({ files: installFiles, paths, databasePath }, [user])
  replacement.replace(from, { point, reset: false }, 'other')
  replacement.ended()
}
