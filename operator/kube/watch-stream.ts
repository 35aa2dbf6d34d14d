// One watch as a stream of JSON lines, read until the server ends it, the caller does, or nothing has come for too long. A connection that is half-open
// (a vanished load balancer, a sleeping laptop) looks exactly like a quiet one: only the missing bookmarks tell them apart.
import { fail, ok } from '../../runtime/result.ts'
import { JsonLines } from './json-lines.ts'
import { isJsonObject, objectAt, textAt } from './json-object.ts'
import type { KubeObject, KubeResult, WatchEvent, WatchOptions } from './kube.ts'
import { problemOf, unreachable, watchProblem } from './kube-problem.ts'
import type { KubeAnswer } from './kube-transport.ts'

export interface WatchBounds {
  /** The server is asked to end the watch after a time between these. */
  readonly serverSecondsMin: number
  readonly serverSecondsMax: number
  /** Until the answer's head has come. */
  readonly headMs: number
  /** Without a single byte. */
  readonly silenceMs: number
}

export interface WatchReading {
  readonly parse: (value: unknown) => KubeObject | undefined
  readonly options: WatchOptions
  readonly bounds: WatchBounds
}

export async function readWatch(
  open: (signal: AbortSignal) => Promise<KubeResult<KubeAnswer>>,
  reading: WatchReading,
): Promise<KubeResult<void>> {
  const { signal } = reading.options
  if (signal.aborted) return ok(undefined)
  const silence = new Silence(reading.bounds.headMs)
  const opened = await open(AbortSignal.any([signal, silence.signal]))
  try {
    if (!opened.ok) return signal.aborted ? ok(undefined) : opened
    silence.broken(reading.bounds.silenceMs)
    const { status, stream } = opened.value
    return await readLines(stream, status, reading, silence)
  } catch (cause) {
    // The stream fails when the connection does, JsonLines when what comes is no JSON; a watch that was asked to end has simply ended.
    if (signal.aborted) return ok(undefined)
    return fail(unreachable(silence.signal.aborted ? `the watch was silent for ${reading.bounds.silenceMs} ms` : String(cause)))
  } finally {
    silence.end()
    if (opened.ok) opened.value.stream.destroy()
  }
}

async function readLines(
  stream: AsyncIterable<unknown>,
  status: number,
  reading: WatchReading,
  silence: Silence,
): Promise<KubeResult<void>> {
  const lines = new JsonLines()
  const refusal: Buffer[] = []
  for await (const chunk of stream) {
    if (!(chunk instanceof Buffer)) continue
    silence.broken(reading.bounds.silenceMs)
    if (status === 200) {
      const ended = deliver(lines.take(chunk), reading)
      if (ended !== undefined) return ended
    } else refusal.push(chunk)
  }
  return status === 200 ? ok(undefined) : fail(problemOf(status, jsonOrNothing(Buffer.concat(refusal).toString('utf8'))))
}

function deliver(values: readonly unknown[], reading: WatchReading): KubeResult<void> | undefined {
  for (const value of values) {
    if (reading.options.signal.aborted) return ok(undefined)
    const type = textAt(value, 'type')
    if (type === 'ERROR') return fail(watchProblem(objectAt(value, 'object')))
    const event = eventOf(type, value, reading.parse)
    if (event === 'not an object') return fail(unreachable('the watch carried something that is no Kubernetes object'))
    if (event !== undefined) reading.options.onEvent(event)
  }
  return undefined
}

/** Undefined for a type that we do not know: a newer server may have more. */
function eventOf(type: string | undefined, value: unknown, parse: WatchReading['parse']): WatchEvent | 'not an object' | undefined {
  const object = isJsonObject(value) ? value['object'] : undefined
  if (type === 'BOOKMARK') return { type, resourceVersion: textAt(objectAt(object, 'metadata'), 'resourceVersion') ?? '' }
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') return undefined
  const parsed = parse(object)
  return parsed === undefined ? 'not an object' : { type, object: parsed }
}

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not from the API server itself; the HTTP status says enough.
    return undefined
  }
}

/** Aborts its signal when nothing was heard for a while. */
class Silence {
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout

  constructor(ms: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), ms)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  broken(nextMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#controller.abort(), nextMs)
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}
