// Ports for programs that cannot be told to take any free one (kube-apiserver refuses port 0), or that must find the same one free when they start again.
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { isPortFree } from '../../runtime/is-port-free.ts'

/** Below those that the system gives to whoever asks for any, and to outgoing connections; beside those of the process kubelet (operator/local/local-addresses.ts). */
const portMin = 10_000
const portMax = 20_000
const attemptsMax = 1_000

/** `count` different ports that are free on 127.0.0.1, and are given to no other run on this machine as long as this process lives. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = []
  for (let attempt = 0; ports.length < count; attempt += 1) {
    if (attempt >= attemptsMax) throw new Error(`no ${count} free ports after ${attemptsMax} tries`)
    const port = randomInt(portMin, portMax)
    if ((await reserve(port)) && (await isPortFree('127.0.0.1', port))) ports.push(port)
  }
  return ports
}

/** By a socket in Linux's abstract namespace, which the kernel takes back when this process ends, however that comes. Elsewhere there is none, and chance must do. */
function reserve(port: number): Promise<boolean> {
  if (process.platform !== 'linux') return Promise.resolve(true)
  return new Promise((resolve) => {
    const server = createServer().unref()
    server.once('error', () => resolve(false))
    server.listen({ path: `\0securesql-port-${port}` }, () => resolve(true))
  })
}
