// What one run of the load generator is told, and what it tells back.

export interface LoadOrder {
  /** Connections are spread over these evenly. */
  readonly ports: readonly number[]
  readonly ca: string
  readonly authorization: string
  readonly path: string
  readonly body: unknown
  readonly clients: number
  /** Not counted: connections, caches and compilers get warm. */
  readonly warmUpMs: number
  readonly measureMs: number
}

export interface LoadReport {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly requests: number
  /** Answered 503, and not counted above: on an overloaded machine the leader may change in the middle. */
  readonly refused: number
}
