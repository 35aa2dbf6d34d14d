// Puts a mistake into a module while it is loaded; the file itself is not touched. For a process of its own: what was loaded before stays as it is.
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import type { Mutation } from './mutation.ts'

/** What is thrown when a mutation no longer fits the code begins so. */
export const unfit = 'this mutation does not fit:'

export function applyMutation({ file, find, replace }: Pick<Mutation, 'file' | 'find' | 'replace'>): void {
  const url = new URL(`../../../${file}`, import.meta.url).href
  registerHooks({
    load: (loaded, context, nextLoad) => {
      const result = nextLoad(loaded, context)
      if (loaded !== url) return result
      // What the loader gives is not the text in all versions, so it is read again.
      const source = readFileSync(new URL(loaded), 'utf8')
      const times = source.split(find).length - 1
      if (times !== 1) throw new Error(`${unfit} what it replaces stands ${times} times in ${file}`)
      return { ...result, source: source.replace(find, () => replace) }
    },
  })
}
