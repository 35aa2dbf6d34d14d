// A client: one operation at a time, against whichever node it takes for the leader. It moves on when it is refused, tries again where that is safe, and where an
// outcome is unknown says so, except for increments: their idempotency key makes every retry safe.
import type { ReplicaProblem } from '../replica/replica-port.ts'
import type { Chance } from './chance.ts'
import type { History, Record } from './history.ts'
import { accountCount, inWords, isWrite, type Operation, type ReadAnswer } from './operation.ts'
import type { SimNode } from './sim-node.ts'
import type { World } from './world.ts'

export interface Habits {
  readonly thinkMsMean: number
  readonly keys: number
  /** Relative weights of the kinds of operation. */
  readonly weights: Readonly<{ [Kind in Operation['kind']]: number }>
  /** How often a read is asked of any node, not of the leader. */
  readonly strays: number
}

type Answer = { readonly done: boolean; readonly values: ReadAnswer }
type Ended =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'refused'; readonly leader: string | undefined }
  | { readonly kind: 'unknown' }

const timeoutMs = 800
const attemptsMax = 40

export class Client {
  readonly #world: World
  readonly #history: History
  readonly #habits: Habits
  readonly #chance: Chance
  readonly #number: number
  #target: string | undefined
  #isStopped = false
  #lastValue = 0

  constructor(
    world: World,
    options: { readonly history: History; readonly habits: Habits; readonly chance: Chance; readonly number: number },
  ) {
    this.#world = world
    this.#history = options.history
    this.#habits = options.habits
    this.#chance = options.chance
    this.#number = options.number
    this.#think()
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Reads until it is answered, whatever its habits; for the end of a run. */
  ask(operation: Operation, whenDone: () => void): void {
    const record = this.#history.begin(this.#number, operation)
    this.#attempt(record, Infinity, whenDone)
  }

  #think(): void {
    if (this.#isStopped) return
    this.#world.queue.after(this.#chance.exponential(this.#habits.thinkMsMean), undefined, () => {
      if (this.#isStopped) return
      const record = this.#history.begin(this.#number, this.#choose())
      this.#attempt(record, attemptsMax, () => this.#think())
    })
  }

  #choose(): Operation {
    const key = this.#chance.below(this.#habits.keys)
    this.#lastValue += 1
    const value = this.#number * 1_000_000 + this.#lastValue
    switch (this.#kind()) {
      case 'write':
        return { kind: 'write', key, value }
      case 'cas':
        return { kind: 'cas', key, expected: this.#world.lastSeen.get(key) ?? 0, value }
      case 'append':
        return { kind: 'append', key, value }
      case 'transfer':
        return {
          kind: 'transfer',
          from: this.#chance.below(accountCount),
          to: this.#chance.below(accountCount),
          amount: 1 + this.#chance.below(20),
        }
      case 'increment':
        return { kind: 'increment', key, value, by: 1 + this.#chance.below(9) }
      case 'read':
        return { kind: 'read', of: this.#chance.pick(['register', 'register', 'list', 'accounts', 'counter'] as const) ?? 'register', key }
    }
  }

  #kind(): Operation['kind'] {
    const weights = Object.entries(this.#habits.weights) as [Operation['kind'], number][]
    let lot = this.#chance.fraction() * weights.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [kind, weight] of weights) {
      lot -= weight
      if (lot < 0) return kind
    }
    return 'read'
  }

  #attempt(record: Record, left: number, whenDone: () => void): void {
    const { operation } = record
    if (operation.kind === 'read') record.began = this.#history.tick()
    this.#ask(operation, (ended) => {
      if (ended.kind === 'answer') {
        record.ending = { kind: 'answered', at: this.#history.tick(), ...ended.answer }
        if (operation.kind === 'read' && operation.of === 'register') this.#world.lastSeen.set(operation.key, ended.answer.values[0] ?? 0)
        this.#note(operation, `-> ${ended.answer.values.length > 0 ? ended.answer.values.join(' ') : ended.answer.done}`)
        return whenDone()
      }
      const mayRepeat = ended.kind === 'refused' || operation.kind === 'increment' || operation.kind === 'read'
      if (ended.kind === 'unknown') this.#world.sometimes.met('outcome unknown')
      this.#target = ended.kind === 'refused' ? ended.leader : undefined
      if (mayRepeat && left > 1) {
        this.#world.queue.after(this.#chance.between(5, 60), undefined, () => this.#attempt(record, left - 1, whenDone))
        return
      }
      // An increment that was refused at last may have been taken before.
      if (ended.kind === 'refused' && operation.kind !== 'increment') record.ending = { kind: 'refused' }
      this.#note(operation, ended.kind)
      whenDone()
    })
  }

  #ask(operation: Operation, tell: (ended: Ended) => void): void {
    const { queue, network, sometimes } = this.#world
    const node = this.#node(operation)
    let isOver = false
    const end = (ended: Ended): void => {
      if (isOver) return
      isOver = true
      timeout.isCancelled = true
      tell(ended)
    }
    // The client gives up a little after the node would: it learns nothing then.
    const timeout = queue.after(timeoutMs * 1.2, undefined, () => end({ kind: 'unknown' }))
    const life = node?.life
    if (life === undefined) {
      queue.after(1, undefined, () => end({ kind: 'refused', leader: undefined }))
      return
    }
    queue.after(network.delayMs(), life, () => {
      const { loop, machine } = life
      const answer = (ended: Ended): void => {
        if (!life.isAlive) return
        if (this.#chance.happens(network.weather.lost / 2)) return sometimes.met('answer to a client lost')
        queue.after(network.delayMs(), undefined, () => end(ended))
      }
      if (loop === undefined) return answer({ kind: 'refused', leader: undefined })
      if (!isWrite(operation))
        return void loop.readBarrier({ timeoutMs }).then((barrier) => {
          if (!life.isAlive) return
          answer(barrier.ok ? { kind: 'answer', answer: { done: true, values: machine.read(operation) } } : endOf(barrier.problem))
        }, this.#world.broke)
      loop.propose(this.#world.encode(operation), { timeoutMs }).then((applied) => {
        if (!life.isAlive) return
        answer(applied.ok ? { kind: 'answer', answer: { ...machine.answer(applied.value.outcome), values: [] } } : endOf(applied.problem))
      }, this.#world.broke)
    })
  }

  #node(operation: Operation): SimNode | undefined {
    const nodes = this.#world.nodes
    const isStray = operation.kind === 'read' && this.#chance.happens(this.#habits.strays)
    return (isStray ? undefined : nodes.find((node) => node.id === this.#target && node.life !== undefined)) ?? this.#chance.pick(nodes)
  }

  #note(operation: Operation, what: string): void {
    this.#world.trace.note(this.#world.queue.nowMs, `client ${this.#number}`, `${inWords(operation)} ${what}`)
  }
}

function endOf(problem: ReplicaProblem): Ended {
  return problem.code === 'outcome_unknown' || problem.code === 'deadline'
    ? { kind: 'unknown' }
    : { kind: 'refused', leader: problem.leader }
}
