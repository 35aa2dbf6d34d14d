// The X.509 library's container asks for the "reflect metadata" proposal when it loads. It needs five functions of it, for its own classes only; the
// polyfill packages patch much more. Import this file before the library.
type Target = object
const metadata = new WeakMap<Target, Map<unknown, unknown>>()

function own(key: unknown, target: Target): unknown {
  return metadata.get(target)?.get(key)
}

function define(key: unknown, value: unknown, target: Target): void {
  const known = metadata.get(target) ?? new Map<unknown, unknown>()
  known.set(key, value)
  metadata.set(target, known)
}

function inherited(key: unknown, target: Target): unknown {
  for (let at: Target | null = target; at !== null; at = Object.getPrototypeOf(at) as Target | null)
    if (metadata.get(at)?.has(key) === true) return own(key, at)
  return undefined
}

// Left alone when somebody else has brought a polyfill already.
if (!('getMetadata' in Reflect)) {
  Object.assign(Reflect, {
    defineMetadata: define,
    getMetadata: inherited,
    getOwnMetadata: own,
    hasOwnMetadata: (key: unknown, target: Target) => metadata.get(target)?.has(key) === true,
    metadata: (key: unknown, value: unknown) => (target: Target) => define(key, value, target),
  })
}
