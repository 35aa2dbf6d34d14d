// Whether an address can be listened on, asked of the operating system itself: the only answer that cannot be out of date when it matters is the listener's own,
// so this is a good guess, not a promise.
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

/** The port that could be listened on just now: `port` itself, or any free one when `port` is 0; undefined when it is taken or the address is not ours. */
export function freePort(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ host, port, exclusive: true }, () => {
      const { port: found } = server.address() as AddressInfo
      server.close(() => resolve(found))
    })
  })
}
