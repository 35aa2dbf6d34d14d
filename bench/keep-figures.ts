// What a bench has measured is kept in bench/results, so that a later one can be compared with it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** As `name`.json, and says where. */
export function keepFigures(name: string, figures: unknown): void {
  const folder = join(import.meta.dirname, 'results')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${name}.json`)
  writeFileSync(path, `${JSON.stringify(figures, undefined, 2)}\n`)
  console.log(`written: ${path}`)
}
