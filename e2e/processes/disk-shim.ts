// A disk that can be made slow or made to refuse, for one node: a library of twenty lines between the node and its C library (disk-shim.c), built by the suite itself.
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export class DiskShim {
  readonly #library: string
  readonly #folder: string

  private constructor(library: string, folder: string) {
    this.#library = library
    this.#folder = folder
  }

  /** Undefined with the reason when there is no C compiler. */
  static build(folder: string): DiskShim | { readonly unavailable: string } {
    const library = join(folder, 'disk-shim.so')
    try {
      execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, join(import.meta.dirname, 'disk-shim.c'), '-ldl'], { stdio: 'pipe' })
    } catch (error) {
      return { unavailable: `no C compiler: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}` }
    }
    return new DiskShim(library, folder)
  }

  environmentOf(id: string): Readonly<Record<string, string>> {
    return { LD_PRELOAD: this.#library, SECURESQL_DISK_SHIM: this.#controlOf(id) }
  }

  /** Each sync of the node takes this much longer from now on. */
  slow(id: string, ms: number): void {
    writeFileSync(this.#controlOf(id), `slow ${ms}`)
  }

  /** Each sync of the node fails with EIO from now on. */
  fail(id: string): void {
    writeFileSync(this.#controlOf(id), 'fail 0')
  }

  heal(id: string): void {
    rmSync(this.#controlOf(id), { force: true })
  }

  #controlOf(id: string): string {
    return join(this.#folder, `${id}.disk`)
  }
}
