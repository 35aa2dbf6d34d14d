// Every case, in the order in which they run: those first that need a fresh database, those last that end nodes.
import { after, before, describe, test } from 'node:test'
import { afterARestart } from './after-a-restart.ts'
import { bodies } from './bodies.ts'
import { clusterPages } from './cluster-pages.ts'
import { Place } from './contract-place.ts'
import type { ContractCase } from './contract-place.ts'
import { everyRequest } from './every-request.ts'
import { files } from './files.ts'
import { firstVectors } from './first-vectors.ts'
import { leadership } from './leadership.ts'
import { parameterCases } from './parameters.ts'
import { queued } from './queued.ts'
import { reads } from './reads.ts'
import { results } from './results.ts'
import { routeCases } from './routes.ts'
import { sql } from './sql.ts'
import { vectors } from './vectors.ts'

const groups: readonly (readonly [name: string, cases: readonly ContractCase[]])[] = [
  ['a fresh database', firstVectors],
  ['every request', everyRequest],
  ['routes', routeCases],
  ["rqlite's own expectations", vectors],
  ['bodies', bodies],
  ['results', results],
  ['parameters', parameterCases],
  ['reads', reads],
  ['statements', sql],
  ['queued writes', queued],
  ['files', files],
  ['leadership', leadership],
  ['pages', clusterPages],
  ['after a restart', afterARestart],
]

/** Starts the cluster once, and runs all of them on it. */
export function runContract(kind: Place['kind']): void {
  let place: Place
  before(async () => {
    place = await Place.open(kind)
  })
  after(() => place.close())
  for (const [name, cases] of groups) {
    describe(name, () => {
      for (const one of cases) {
        if (one.only === undefined || one.only === kind) test(one.title, () => one.run(place))
      }
    })
  }
}
