// The snapshot source's twin in memory: asks other members' stores over a MemoryNetwork, whose cuts it feels; a test may make any answer go wrong.
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { NodeId } from '../raft/membership.ts'
import type { Clock } from './clock.ts'
import type { MemoryNetwork } from './memory-transport.ts'
import type { SnapshotSource, SnapshotSourceProblem } from './snapshot-source.ts'
import type { SnapshotManifest, SnapshotStore } from './snapshot-store.ts'

/** A question as a test sees it, before it is asked. */
export type SnapshotQuestion =
  | { readonly kind: 'manifest'; readonly from: NodeId; readonly indexMin: number }
  | { readonly kind: 'chunk'; readonly from: NodeId; readonly id: string; readonly offset: number; readonly length: number }

/** What goes wrong with it: a refusal, a byte of the answer that differs, or nothing. */
export type SnapshotFault = SnapshotSourceProblem | 'damaged' | undefined

export class MemorySnapshotSource implements SnapshotSource {
  /** For tests to replace. */
  fault: (question: SnapshotQuestion) => SnapshotFault = () => undefined
  readonly #id: NodeId
  readonly #network: MemoryNetwork
  readonly #clock: Clock
  readonly #storeOf: (id: NodeId) => SnapshotStore | undefined

  /** `storeOf`: what the named member serves from; undefined when there is no such member, or its process is gone. */
  constructor(options: {
    readonly id: NodeId
    readonly network: MemoryNetwork
    readonly clock: Clock
    readonly storeOf: (id: NodeId) => SnapshotStore | undefined
  }) {
    this.#id = options.id
    this.#network = options.network
    this.#clock = options.clock
    this.#storeOf = options.storeOf
  }

  manifest(from: NodeId, options: { readonly indexMin: number }): Promise<Result<SnapshotManifest, SnapshotSourceProblem>> {
    const fault = this.fault({ kind: 'manifest', from, ...options })
    return this.#ask(from, (store) => store.take(options)).then((answer) => {
      if (fault === undefined || !answer.ok) return answer
      return fault === 'damaged' ? ok({ ...answer.value, hash: '0'.repeat(64) }) : fail(fault)
    })
  }

  chunk(
    from: NodeId,
    options: { readonly id: string; readonly offset: number; readonly length: number },
  ): Promise<Result<Uint8Array, SnapshotSourceProblem>> {
    const fault = this.fault({ kind: 'chunk', from, ...options })
    return this.#ask(from, (store) => store.read(options)).then((answer) => {
      if (fault === undefined || !answer.ok) return answer
      return fault === 'damaged' ? ok(answer.value.map((byte, position) => (position === 0 ? byte ^ 1 : byte))) : fail(fault)
    })
  }

  // Question and answer take a turn each, and a cut on either way is noticed as a lost connection.
  async #ask<Value>(
    from: NodeId,
    question: (store: SnapshotStore) => Promise<Result<Value, SnapshotSourceProblem>>,
  ): Promise<Result<Value, SnapshotSourceProblem>> {
    await this.#turn()
    const store = this.#reaches(from) ? this.#storeOf(from) : undefined
    if (store === undefined) return fail('unreachable')
    const answer = await question(store)
    await this.#turn()
    return this.#reaches(from) && this.#storeOf(from) === store ? answer : fail('unreachable')
  }

  #reaches(from: NodeId): boolean {
    return this.#network.isOpen(this.#id, from)
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#clock.soon(resolve))
  }
}
