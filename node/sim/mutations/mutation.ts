// A mistake that is put back on purpose, to see whether it is found: one place of the production code, what stands there, and what stands there with the mistake.

export interface Mutation {
  readonly hazard: number
  /** The mistake, in a few words. */
  readonly text: string
  /** From the root of the repository. */
  readonly file: string
  /** Occurs exactly once in the file. */
  readonly find: string
  readonly replace: string
  readonly by: Finder
}

/** `seeds`: by the simulator within so many. `test`: by a test file, where chance would be the wrong tool. */
export type Finder = { readonly kind: 'seeds'; readonly budget: number } | { readonly kind: 'test'; readonly file: string }

export interface Inapplicable {
  readonly hazard: number
  readonly text: string
  /** One sentence. */
  readonly why: string
}

export function seeds(budget: number): Finder {
  return { kind: 'seeds', budget }
}

export function testFile(file: string): Finder {
  return { kind: 'test', file }
}
