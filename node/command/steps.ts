// Work on what may be long, in steps of a few milliseconds: whoever stands on the thread that sends heartbeats lets others have their turn in between, anybody else runs
// it to its end. The same code either way.

/** Undefined between two steps. */
export type Steps<Value> = Generator<undefined, Value, undefined>

/** All steps, one behind the other. */
export function atOnce<Value>(steps: Steps<Value>): Value {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
