// "Sometimes" assertions: what a run of many seeds must have met, each at least so often, or the run has tested less than it says.

export class Sometimes {
  readonly counts = new Map<string, number>()

  met(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times)
  }

  add(counts: Iterable<readonly [string, number]>): void {
    for (const [what, times] of counts) this.met(what, times)
  }
}
