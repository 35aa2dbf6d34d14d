// What is told before anybody listens is told to the first who does: a state machine that was found to differ in an earlier life says so while the loop is being made.

/** More than that is not said before somebody listens, unless nobody ever does. */
const unheardMax = 16

export class Listeners<Event> {
  readonly #listeners: ((event: Event) => void)[] = []
  #unheard: Event[] = []

  listen(listener: (event: Event) => void): void {
    this.#listeners.push(listener)
    for (const event of this.#unheard.splice(0)) listener(event)
  }

  tell(event: Event): void {
    if (this.#listeners.length === 0 && this.#unheard.length < unheardMax) this.#unheard.push(event)
    for (const listener of this.#listeners) listener(event)
  }
}
