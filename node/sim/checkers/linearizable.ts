// Whether a history of one register is linearizable: is there an order of its operations that respects real time and in which each gives what it gave? PURE.
// Wing & Gong's search with Lowe's memory of what has been tried (as in Porcupine): operations in order of their calls and returns; take any that may come first, and
// go back when the first return cannot be reached. An operation with an unknown outcome never returns: it may stand anywhere after its call, or at the very end.

export type RegisterOperation =
  | { readonly kind: 'write'; readonly value: number }
  /** `done`: whether it found what it expected; undefined: not known. */
  | { readonly kind: 'cas'; readonly expected: number; readonly value: number; readonly done: boolean | undefined }
  | { readonly kind: 'read'; readonly value: number }

export interface Timed<Operation> {
  readonly operation: Operation
  readonly began: number
  /** Infinity: never told. */
  readonly ended: number
}

interface Event {
  readonly id: number
  readonly isCall: boolean
  readonly at: number
  before: Event | undefined
  after: Event | undefined
  /** Of a call: the return that belongs to it. */
  partner: Event | undefined
}

/** States tried before the search gives up: no verdict then. */
const triesMax = 2_000_000

/** `initial`: before the first write. */
export function isLinearizable(history: readonly Timed<RegisterOperation>[], initial: number): 'yes' | 'no' | 'gave up' {
  const operations = withoutNeverSeen(history)
  const head = eventsOf(operations)
  const taken = new Uint32Array(Math.ceil(operations.length / 32))
  const tried = new Set<string>()
  const stack: { readonly call: Event; readonly state: number }[] = []
  let state = initial
  let event = head.after
  for (let tries = 0; head.after !== undefined; tries += 1) {
    if (tries > triesMax) return 'gave up'
    if (event === undefined || !event.isCall) {
      // A return stands first that nothing could be placed before: what was placed last was wrong. Only open operations left: all is placed that must be.
      if (event === undefined && !hasReturn(head)) return 'yes'
      const last = stack.pop()
      if (last === undefined) return 'no'
      state = last.state
      toggle(taken, last.call.id)
      putBack(last.call)
      event = last.call.after
      continue
    }
    const operation = operations[event.id]?.operation
    const next = operation === undefined ? undefined : stepped(state, operation)
    if (next !== undefined) {
      toggle(taken, event.id)
      const key = `${taken.join(' ')} ${next}`
      if (!tried.has(key)) {
        tried.add(key)
        stack.push({ call: event, state })
        state = next
        takeOut(event)
        event = head.after
        continue
      }
      toggle(taken, event.id)
    }
    event = event.after
  }
  return 'yes'
}

function stepped(state: number, operation: RegisterOperation): number | undefined {
  switch (operation.kind) {
    case 'write':
      return operation.value
    case 'cas':
      if (state === operation.expected) return operation.done === false ? undefined : operation.value
      return operation.done === true ? undefined : state
    case 'read':
      return operation.value === state ? state : undefined
  }
}

/**
 * A write of unknown outcome whose value nobody has met may stand at the end: leaving it out changes no verdict and much of the search. A compare-and-set that
 * failed behind its beginning has met it perhaps: any other value than the expected one makes it fail.
 */
function withoutNeverSeen(history: readonly Timed<RegisterOperation>[]): readonly Timed<RegisterOperation>[] {
  const seen = new Set<number>()
  let lastFailed = -Infinity
  for (const { operation, ended } of history) {
    if (operation.kind === 'read') seen.add(operation.value)
    if (operation.kind === 'cas' && operation.done !== false) seen.add(operation.expected)
    if (operation.kind === 'cas' && operation.done === false) lastFailed = Math.max(lastFailed, ended)
  }
  return history.filter(
    ({ operation, began, ended }) => ended !== Infinity || operation.kind === 'read' || seen.has(operation.value) || began < lastFailed,
  )
}

function eventsOf(operations: readonly Timed<RegisterOperation>[]): { after: Event | undefined } {
  const events: Event[] = []
  for (const [id, { began, ended }] of operations.entries()) {
    const call: Event = { id, isCall: true, at: began, before: undefined, after: undefined, partner: undefined }
    events.push(call)
    if (ended === Infinity) continue
    call.partner = { id, isCall: false, at: ended, before: undefined, after: undefined, partner: call }
    events.push(call.partner)
  }
  events.sort((a, b) => a.at - b.at)
  const head: Event = { id: -1, isCall: true, at: -Infinity, before: undefined, after: undefined, partner: undefined }
  let last = head
  for (const event of events) {
    last.after = event
    event.before = last
    last = event
  }
  return head
}

function hasReturn(head: { readonly after: Event | undefined }): boolean {
  for (let event = head.after; event !== undefined; event = event.after) if (!event.isCall) return true
  return false
}

function takeOut(call: Event): void {
  unlink(call)
  if (call.partner !== undefined) unlink(call.partner)
}

/** In reverse order of taking out, so that the neighbours it remembers are its neighbours again. */
function putBack(call: Event): void {
  if (call.partner !== undefined) link(call.partner)
  link(call)
}

function unlink(event: Event): void {
  if (event.before !== undefined) event.before.after = event.after
  if (event.after !== undefined) event.after.before = event.before
}

function link(event: Event): void {
  if (event.before !== undefined) event.before.after = event
  if (event.after !== undefined) event.after.before = event
}

function toggle(bits: Uint32Array, id: number): void {
  const word = id >>> 5
  bits[word] = (bits[word] ?? 0) ^ (1 << (id & 31))
}
