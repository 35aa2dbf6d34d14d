// For tests of the turnstile: a replica that applies when it is told to, and rehearsals that end when they are told to.
import { makeLogger } from '../../runtime/log.ts'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { ProposeOptions, ReplicaProblem } from '../replica/replica-port.ts'
import type { Applied } from '../replica/state-machine.ts'
import type { WriteEnd } from './log-door.ts'
import type { RehearsalEnd } from './rehearsal.ts'
import { ScriptedRehearsal, ScriptedReplica } from './scripted-node.ts'
import { VacuumPace } from './vacuum-pace.ts'
import { WriteTurnstile, type TurnstileWrite } from './write-turnstile.ts'

/** A replica with a log that applies when it is told to. */
export class SlowReplica extends ScriptedReplica {
  readonly payloads: string[] = []
  /** What it takes no more, and why. */
  readonly refused = new Map<string, ReplicaProblem['code']>()
  readonly #ends: ((end: Result<Applied, ReplicaProblem>) => void)[] = []

  override propose(payload: Uint8Array, { behind, onPlaced }: ProposeOptions): Promise<Result<Applied, ReplicaProblem>> {
    const text = Buffer.from(payload).toString()
    if (text === 'broken') throw new RangeError('broken')
    const { lastIndex, lastTerm: term } = this.state
    const isBehind = behind === undefined || (behind.index === lastIndex && behind.term === term)
    const code = this.refused.get(text) ?? (isBehind ? undefined : 'log_moved_on')
    if (code !== undefined) return Promise.resolve(fail({ code, leader: undefined }))
    this.append(text)
    onPlaced?.({ index: lastIndex + 1, term })
    return new Promise((resolve) => this.#ends.push(resolve))
  }

  append(text: string): void {
    this.payloads.push(text)
    this.state = { ...this.state, lastIndex: this.state.lastIndex + 1 }
  }

  /** The oldest one. */
  async apply(end: Result<Applied, ReplicaProblem> = ok({ index: 8, term: 3, outcome: undefined })): Promise<void> {
    this.#ends.shift()?.(end)
    await turns()
  }
}

/** A turnstile between clients and that replica. */
export interface World {
  readonly replica: SlowReplica
  readonly rehearsal: ScriptedRehearsal
  readonly turnstile: WriteTurnstile
  readonly write: (sql: string, options?: Partial<TurnstileWrite>) => Promise<WriteEnd>
}

/** Texts: `short N` and `plain N` (which changes the schema) cost N instructions, `long` any number, `schema` changes the schema. */
export async function world({
  quickMsMax = 0,
  nowMs,
}: { readonly quickMsMax?: number; readonly nowMs?: () => number } = {}): Promise<World> {
  const replica = new SlowReplica('n1', 'n1')
  const rehearsal = new ScriptedRehearsal()
  rehearsal.copied = () => ({ index: replica.state.lastIndex, term: 3 })
  rehearsal.judgement = (sql) => ({
    cost: /^(short|plain)/.test(sql) ? Number(sql.split(' ')[1] ?? 1) : Infinity,
    changesSchema: /^(schema|plain)/.test(sql),
  })
  const turnstile = new WriteTurnstile(rehearsal, makeLogger({ level: 'silent' }), { quickMsMax, pace: new VacuumPace(nowMs) })
  const write: World['write'] = (sql, options) =>
    turnstile.write(replica, {
      statements: [{ sql, parameters: { kind: 'positional', values: [] } }],
      payload: Buffer.from(sql),
      limit: { kind: 'processor', ms: 1_000 },
      client: '',
      msLeft: () => 60_000,
      isAbandoned: () => false,
      ...options,
    })
  // The first write of a leader waits until everything of others is applied.
  const first = write('short 1')
  await turns()
  await replica.apply()
  await first
  replica.payloads.length = 0
  return { replica, rehearsal, turnstile, write }
}

/** Everything that waits for nothing but its turn is done. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Waits as `whenApplied` does. */
export async function laterApplied(isApplied: () => boolean): ReturnType<ScriptedReplica['whenApplied']> {
  await new Promise((resolve) => setImmediate(resolve))
  return isApplied() ? ok(7) : { ok: false, problem: { code: 'deadline', leader: undefined } }
}

/** For comparisons. */
export function codeOf(end: WriteEnd): string {
  return end.ok ? 'ok' : end.problem.code
}

/** Rehearsals that end when they are told to. */
export function held(rehearsal: ScriptedRehearsal): { release: (end?: RehearsalEnd) => Promise<void> } {
  let release: ((end: RehearsalEnd) => void) | undefined
  rehearsal.end = (writes, onPassed) =>
    new Promise((resolve) => {
      // The copy is made now.
      const copied = rehearsal.copied()
      release = (end) => {
        const passed = end.kind === 'ended' ? end.at : end.kind === 'done' ? writes.length : 0
        for (let at = 0; at < passed; at += 1) onPassed(at, copied)
        resolve(end)
      }
    })
  return {
    release: (end = { kind: 'done' }) => {
      release?.(end)
      return turns()
    },
  }
}

/** What was rehearsed so far, batch by batch. */
export function textsOf(rehearsal: ScriptedRehearsal): readonly (readonly string[])[] {
  return rehearsal.rehearsed.map((writes) => writes.map(({ payload }) => Buffer.from(payload).toString()))
}
