// For tests: the disk calls that put a database in another's place, up to the one at which the process is killed.
import { installFiles, type InstallFiles } from './snapshot-install.ts'

export class Died extends Error {}

/** Lets `steps` calls pass and dies at the next one. */
export function dyingAfter(steps: number): { readonly files: InstallFiles; readonly taken: () => number } {
  let count = 0
  const step = <Arguments extends readonly unknown[], Value>(call: (...given: Arguments) => Value) => {
    return (...given: Arguments): Value => {
      if (count === steps) throw new Died()
      count += 1
      return call(...given)
    }
  }
  const files: InstallFiles = {
    exists: installFiles.exists,
    rename: step(installFiles.rename),
    remove: step(installFiles.remove),
    syncDirectory: step(installFiles.syncDirectory),
    replaceDurably: step(installFiles.replaceDurably),
    removeDurably: step(installFiles.removeDurably),
  }
  return { files, taken: () => count }
}
