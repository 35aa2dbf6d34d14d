// Asks the other end of a connection for a sign of life each second, because TCP alone notices a dead link only after a quarter of an hour. Unanswered pings are counted
// rather than time: a stalled loop of our own must not look like a dead member. Bytes that leave or arrive are a sign of life too: a large append may be in front of the
// ping, a chunk of a snapshot in front of the pong.
import type { Clock } from '../replica/clock.ts'
import type { FramedSocket } from './framed-socket.ts'
import { frameTypes, type Frame } from './frame.ts'
import { WireReader, WireWriter } from './wire-bytes.ts'

const pingIntervalMs = 1_000
const unansweredPingsMax = 5
const pingBytes = 4
/** Of those who answer pings: a caller that has not sent one for so long is gone. */
export const silenceMsMax = 15_000

export class LifeSigns {
  readonly #framed: FramedSocket
  readonly #clock: Clock
  readonly #stop: () => void
  readonly #measuring = new Map<number, (isAnswered: boolean) => void>()
  #number = 0
  #unanswered = 0
  #pendingBefore = 0
  #readBefore = 0

  constructor(framed: FramedSocket, clock: Clock) {
    this.#framed = framed
    this.#clock = clock
    this.#stop = clock.every(pingIntervalMs, () => this.#ping())
    framed.socket.once('close', () => this.#ended())
    this.#ping()
  }

  /** Seconds there and back; undefined when the connection ends first. */
  measure(): Promise<number | undefined> {
    const startedAtMs = this.#clock.monotonicMs()
    if (this.#framed.isClosed || !this.#ping()) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const settle = (isAnswered: boolean): void => resolve(isAnswered ? (this.#clock.monotonicMs() - startedAtMs) / 1000 : undefined)
      this.#measuring.set(this.#number, settle)
    })
  }

  /** True: it was the answer to a ping. */
  hears(frame: Frame): boolean {
    if (frame.type !== frameTypes.pong || frame.body.length !== pingBytes) return false
    this.#unanswered = 0
    const number = new WireReader(frame.body).u32()
    this.#measuring.get(number)?.(true)
    this.#measuring.delete(number)
    return true
  }

  #ping(): boolean {
    const pending = this.#framed.pendingBytes
    const { bytesRead } = this.#framed.socket
    if (pending < this.#pendingBefore || bytesRead > this.#readBefore) this.#unanswered = 0
    this.#pendingBefore = pending
    this.#readBefore = bytesRead
    if (this.#unanswered >= unansweredPingsMax) {
      this.#framed.close('silent')
      return false
    }
    this.#unanswered += 1
    this.#number = (this.#number + 1) % 2 ** 32
    this.#framed.write(frameTypes.ping, [new WireWriter().u32(this.#number).concat()])
    return true
  }

  #ended(): void {
    this.#stop()
    for (const settle of this.#measuring.values()) settle(false)
    this.#measuring.clear()
  }
}

/** The other end. True: the frame was a ping and has been answered. */
export function answerPing(framed: FramedSocket, frame: Frame): boolean {
  if (frame.type !== frameTypes.ping || frame.body.length !== pingBytes) return false
  framed.write(frameTypes.pong, [frame.body])
  return true
}
