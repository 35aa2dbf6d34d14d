// What this process has written for a cluster of late, so that a write that does not take is not repeated at full speed: a mutating webhook that rewrites an
// image, or a second installation with other settings, would otherwise turn every pass into a write, and every write into a pass. Nothing here decides what
// is right; forgetting all of it (another process takes over) costs a few writes.
import type { Cluster } from '../resource/cluster.ts'
import type { ActionSummary } from './reconcile-event.ts'
import type { Problem } from './plan-action.ts'

interface Attempt {
  /** How often in a row the same object was written for the same reason. */
  readonly times: number
  readonly atMs: number
  /** Why the API server refused it the last time. */
  readonly refused: Problem | undefined
}

interface Memory {
  readonly generation: number
  readonly attempts: Map<string, Attempt>
  failures: number
}

/** A write that had to be repeated this often within `quietMs` of the one before is contested. */
const patience = 3
const quietMs = 10_000
const firstHoldMs = 1000
/** Somebody who contests a policy must not be able to keep its repair away for long. */
const holdMaxMs = 60_000
/** The API server refused for a reason that only a person can take away; a changed spec is tried at once. */
const refusedHoldMs = 30_000
/** So many passes that ended early are no accident any more, and the user is told. */
const failuresMax = 3

export class Attempts {
  readonly #clusters = new Map<string, Memory>()

  forget(cluster: { readonly namespace: string; readonly name: string }): void {
    this.#clusters.delete(keyOf(cluster))
  }

  /** False while a write waits because it did not take before. */
  isDue(cluster: Cluster, write: ActionSummary, nowMs: number): boolean {
    const attempt = this.#of(cluster).attempts.get(keyOfWrite(write))
    // A clock that was set back must not hold a write for years.
    return attempt === undefined || nowMs < attempt.atMs || nowMs >= attempt.atMs + holdMs(attempt)
  }

  wrote(cluster: Cluster, write: ActionSummary, nowMs: number, refused: Problem | undefined): void {
    const { attempts } = this.#of(cluster)
    const before = attempts.get(keyOfWrite(write))
    const inARow = before !== undefined && nowMs - before.atMs <= holdMs(before) + quietMs
    attempts.set(keyOfWrite(write), { times: inARow ? before.times + 1 : 1, atMs: nowMs, refused })
  }

  /** Why a write that is wanted still, or again, does not come about. */
  problemOf(cluster: Cluster, write: ActionSummary): Problem | undefined {
    const attempt = this.#of(cluster).attempts.get(keyOfWrite(write))
    if (attempt?.refused !== undefined) return attempt.refused
    return attempt === undefined || attempt.times < patience
      ? undefined
      : { code: 'Contested', object: write.object, because: write.because }
  }

  /** Whether passes over this cluster have ended early so often that it is worth a condition. */
  failed(cluster: Cluster): boolean {
    const memory = this.#of(cluster)
    memory.failures += 1
    return memory.failures >= failuresMax
  }

  succeeded(cluster: Cluster): void {
    this.#of(cluster).failures = 0
  }

  #of(cluster: Cluster): Memory {
    const present = this.#clusters.get(keyOf(cluster))
    if (present?.generation === cluster.generation) return present
    const memory: Memory = { generation: cluster.generation, attempts: new Map(), failures: present?.failures ?? 0 }
    this.#clusters.set(keyOf(cluster), memory)
    return memory
  }
}

function holdMs({ times, refused }: Attempt): number {
  if (refused !== undefined) return refusedHoldMs
  return times < patience ? 0 : Math.min(holdMaxMs, firstHoldMs * 2 ** (times - patience))
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`
}

function keyOfWrite({ object, because }: ActionSummary): string {
  return `${object} ${because}`
}
