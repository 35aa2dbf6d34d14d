// What the simulator throws when something that must hold does not. Everything else that is thrown in a run is a violation too: an assertion of the code itself.

export class Violation extends Error {
  override readonly name = 'Violation'
  /** Which promise was broken, one word or two: the same bug gives the same one. */
  readonly rule: string

  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`)
    this.rule = rule
  }
}

export function must(condition: boolean, rule: string, message: () => string): asserts condition {
  if (!condition) throw new Violation(rule, message())
}

/** Thrown through the production code where the process is to end in the middle of a call. Never a violation. */
export class ProcessEnded extends Error {
  override readonly name = 'ProcessEnded'
}
