// An application that writes one row after the other, to whichever member answers, and remembers what it was told was written. What it was not told may have been
// written or not: an application cannot know, so such a number is not used again.
import type { Member } from './demo-client.ts'
import type { DemoWorld } from './demo-world.ts'
import { resultsOf } from './demo-world.ts'

/** After a refusal: a member that is down answers at once, again and again. */
const refusedPauseMs = 20

export class DemoWriter {
  readonly acknowledged = new Set<number>()
  readonly #world: DemoWorld
  readonly #ended: Promise<void>
  #next: number
  readonly #stopping = new AbortController()

  constructor(world: DemoWorld, first: number) {
    this.#world = world
    this.#next = first
    this.#ended = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#ended
  }

  async #run(): Promise<void> {
    const members = await this.#world.members()
    for (let turn = 0; !this.#stopping.signal.aborted; turn += 1) {
      const id = this.#next
      this.#next += 1
      const member = members[turn % members.length]
      if (member !== undefined && (await this.#write(member, id))) this.acknowledged.add(id)
      else await new Promise((resolve) => setTimeout(resolve, refusedPauseMs))
    }
  }

  async #write(member: Member, id: number): Promise<boolean> {
    const body = [['INSERT INTO orders(id, item) VALUES(?, ?)', id, `written under fire ${id}`]]
    try {
      const answer = await this.#world.ask(member, this.#world.names.app, { method: 'POST', path: '/db/execute', body })
      return answer.status === 200 && resultsOf(answer).every((result) => result.error === undefined && result.rowsAffected === 1)
    } catch {
      // The member is down or has no leader: not acknowledged.
      return false
    }
  }
}
