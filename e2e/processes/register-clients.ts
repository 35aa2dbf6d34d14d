// Clients that read, write and compare-and-set registers through any node, and put down when they asked and what they heard: the history that history-judge.ts reads.
import { createWriteStream } from 'node:fs'
import type { WriteStream } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient } from './api-client.ts'
import { resultsOf } from './api-client.ts'
import { fateOf } from './writer.ts'

/** One line of the history. `endedMs` and results are absent when the outcome is not known. */
export interface RegisterRecord {
  readonly key: number
  readonly beganMs: number
  readonly endedMs?: number
  readonly operation:
    | { readonly kind: 'write'; readonly value: number }
    | { readonly kind: 'cas'; readonly expected: number; readonly value: number; readonly done?: boolean }
    | { readonly kind: 'read'; readonly value: number }
}

export interface RegisterOptions {
  readonly clients: () => readonly ApiClient[]
  readonly random: () => number
  readonly isStopped: () => boolean
}

/** Several clients at a time ask for the same few keys; after a while they go on to the next ones, because judging a long history of one key takes long. */
const keysAtATime = 4
const keyLifeMs = 4_000
const pauseMs = 5

export class RegisterClients {
  readonly #file: WriteStream
  readonly #startedMs = performance.now()
  #lastValue = 0
  #records = 0

  constructor(path: string) {
    this.#file = createWriteStream(path, { mode: 0o600 })
  }

  get records(): number {
    return this.#records
  }

  /** Asks until it is stopped. */
  async keepAsking(options: RegisterOptions): Promise<void> {
    while (!options.isStopped()) {
      const clients = options.clients()
      const client = clients[Math.floor(options.random() * clients.length)]
      if (client === undefined) throw new Error('a register needs a client')
      const generation = Math.floor((performance.now() - this.#startedMs) / keyLifeMs)
      const key = generation * keysAtATime + Math.floor(options.random() * keysAtATime)
      const roll = options.random()
      if (roll < 0.4) await this.#read(client, key)
      else if (roll < 0.75) await this.#write(client, key)
      else await this.#compareAndSet(client, key)
      await delay(pauseMs)
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#file.end(resolve))
  }

  // A register that was never written holds 0: the row appears with the first write.
  async #read(client: ApiClient, key: number): Promise<number | undefined> {
    const beganMs = performance.now()
    const answer = await client.send({ path: '/db/query?level=linearizable', body: [['SELECT v FROM registers WHERE k = ?', key]] })
    const result = answer.kind === 'reply' ? resultsOf(answer)?.results[0] : undefined
    if (result?.columns === undefined) return undefined
    const value = Number(result.values?.[0]?.[0] ?? 0)
    this.#put({ key, beganMs, endedMs: performance.now(), operation: { kind: 'read', value } })
    return value
  }

  async #write(client: ApiClient, key: number): Promise<void> {
    this.#lastValue += 1
    const value = this.#lastValue
    const beganMs = performance.now()
    const statement = ['INSERT INTO registers(k, v) VALUES(?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v', key, value]
    const fate = fateOf(await client.send({ path: '/db/execute', body: [statement] }))
    if (fate === 'not-applied') return
    const operation = { kind: 'write', value } as const
    this.#put(fate === 'acknowledged' ? { key, beganMs, endedMs: performance.now(), operation } : { key, beganMs, operation })
  }

  async #compareAndSet(client: ApiClient, key: number): Promise<void> {
    const expected = await this.#read(client, key)
    if (expected === undefined || expected === 0) return
    this.#lastValue += 1
    const value = this.#lastValue
    const beganMs = performance.now()
    const answer = await client.send({
      path: '/db/execute',
      body: [['UPDATE registers SET v = ? WHERE k = ? AND v = ?', value, key, expected]],
    })
    const affected = answer.kind === 'reply' ? resultsOf(answer)?.results[0]?.rows_affected : undefined
    const done =
      affected === undefined && answer.kind === 'reply' && answer.status === 200 && answer.code === undefined
        ? false
        : affected === undefined
          ? undefined
          : affected === 1
    if (done === undefined && fateOf(answer) === 'not-applied') return
    const operation = { kind: 'cas', expected, value, ...(done === undefined ? {} : { done }) } as const
    this.#put(done === undefined ? { key, beganMs, operation } : { key, beganMs, endedMs: performance.now(), operation })
  }

  #put(record: RegisterRecord): void {
    this.#records += 1
    this.#file.write(`${JSON.stringify(record)}\n`)
  }
}
