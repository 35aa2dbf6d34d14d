// Finds the endpoint of a path: exact paths in one look-up, and the few that stand for everything below them. As in rqlite, one slash at the end makes no difference.
// Paths are compared as they came, without decoding: no path of ours needs it, and two spellings of one path would be two ways past whatever stands in front.
import type { Endpoint } from './endpoint.ts'

export class RouteTable {
  readonly #exact = new Map<string, Endpoint>()
  readonly #below: { readonly prefix: string; readonly endpoint: Endpoint }[] = []

  constructor(endpoints: readonly Endpoint[]) {
    for (const endpoint of endpoints) {
      if (endpoint.path.endsWith('/*')) this.#below.push({ prefix: endpoint.path.slice(0, -1), endpoint })
      else if (!this.#exact.has(endpoint.path)) this.#exact.set(endpoint.path, endpoint)
    }
  }

  find(path: string): Endpoint | undefined {
    const exact = this.#exact.get(path) ?? (path.endsWith('/') ? this.#exact.get(path.slice(0, -1)) : undefined)
    return exact ?? this.#below.find(({ prefix }) => path.startsWith(prefix) && path.length > prefix.length)?.endpoint
  }
}
