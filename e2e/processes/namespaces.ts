// A network of Linux network namespaces, one for each node and a bridge between them: what is cut here is cut for the kernel, without a word to either end, as when a
// cable is pulled. The suite itself stands on the bridge and reaches every node whatever the nodes reach of each other.
// Needs root and `ip` (iproute2); only ever touches namespaces and links that it has made itself.
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'

export class NamespaceNetwork {
  readonly #name: string
  readonly #subnet: string
  readonly #cuts = new Set<string>()
  #count = 0
  #isClosed = false

  private constructor(name: string, subnet: string) {
    this.#name = name
    this.#subnet = subnet
  }

  /** Undefined with the reason when this machine cannot do it. */
  static open(): NamespaceNetwork | { readonly unavailable: string } {
    if (process.getuid?.() !== 0) return { unavailable: 'network namespaces need root' }
    const number = randomInt(1, 250)
    const network = new NamespaceNetwork(`ssq${number}`, `10.213.${number}`)
    try {
      ip('link', 'add', network.#bridge, 'type', 'bridge')
      process.once('exit', () => network.close())
      ip('address', 'add', `${network.#subnet}.1/24`, 'dev', network.#bridge)
      ip('link', 'set', network.#bridge, 'up')
    } catch (error) {
      // No `ip`, or a kernel without bridges: the caller says why it goes without.
      network.close()
      return { unavailable: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error) }
    }
    return network
  }

  /** Makes the next node's namespace; gives its address. */
  add(): string {
    const position = this.#count
    this.#count += 1
    const space = this.#space(position)
    const link = `${this.#name}v${position}`
    ip('netns', 'add', space)
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space)
    ip('link', 'set', link, 'master', this.#bridge, 'up')
    ip('-n', space, 'address', 'add', `${this.addressOf(position)}/24`, 'dev', 'eth0')
    ip('-n', space, 'link', 'set', 'eth0', 'up')
    ip('-n', space, 'link', 'set', 'lo', 'up')
    return this.addressOf(position)
  }

  addressOf(position: number): string {
    return `${this.#subnet}.${position + 10}`
  }

  /** What to run a program with, so that it lives in the node's namespace. */
  launcherOf(position: number): readonly string[] {
    return ['ip', 'netns', 'exec', this.#space(position)]
  }

  /** Nothing that `from` sends reaches `to` any more; the other way stays open. */
  cut(from: number, to: number): void {
    if (from === to || this.#cuts.has(`${from} ${to}`)) return
    this.#cuts.add(`${from} ${to}`)
    ip('-n', this.#space(from), 'route', 'add', 'blackhole', `${this.addressOf(to)}/32`)
  }

  heal(): void {
    for (const cut of this.#cuts) {
      const [from = 0, to = 0] = cut.split(' ').map(Number)
      ip('-n', this.#space(from), 'route', 'del', 'blackhole', `${this.addressOf(to)}/32`)
    }
    this.#cuts.clear()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (let position = 0; position < this.#count; position += 1) attempt('netns', 'del', this.#space(position))
    attempt('link', 'del', this.#bridge)
  }

  get #bridge(): string {
    return `${this.#name}br`
  }

  #space(position: number): string {
    return `${this.#name}n${position}`
  }
}

function ip(...argv: readonly string[]): void {
  execFileSync('ip', argv, { stdio: ['ignore', 'ignore', 'pipe'] })
}

function attempt(...argv: readonly string[]): void {
  try {
    ip(...argv)
  } catch {
    // Already gone, or never made: nothing is left to do.
  }
}
