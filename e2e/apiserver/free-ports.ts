// Ports for programs that cannot be told to take any free one (kube-apiserver refuses port 0).
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** `count` different ports that were free on 127.0.0.1 a moment ago. All are held until all are known, so that none is given twice. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const server of servers) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ports.push((server.address() as AddressInfo).port)
  }
  for (const server of servers) {
    server.close()
    await once(server, 'close')
  }
  return ports
}
