// Whether an address can be listened on, asked of the operating system itself: the only answer that cannot be out of date when it matters is the listener's own,
// so this is a good guess, not a promise.
import { createServer } from 'node:net'

/** `false` when it is taken, or the address is not ours. An empty host stands for every interface. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ ...(host === '' ? {} : { host }), port, exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}
