// A kubelet's probe: one GET, and only its status code counts. As in a real kubelet the certificate is not verified: the probe carries nothing secret and believes
// nothing but "it answers"; who the member really is, the operator asks over verified TLS.
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Endpoint } from './local-addresses.ts'

export interface ProbeTarget extends Endpoint {
  readonly scheme: 'http' | 'https'
  readonly path: string
  readonly timeoutMs: number
}

/** Whether it answered 200 to 399 in time. Never throws. */
export function probe(target: ProbeTarget): Promise<boolean> {
  const { host, port, path, timeoutMs } = target
  const request = target.scheme === 'https' ? httpsRequest : httpRequest
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const headers = { 'user-agent': 'kube-probe/local', connection: 'close' }
    const asked = request({ host, port, path, method: 'GET', headers, agent: false, rejectUnauthorized: false, signal }, (response) => {
      response.resume()
      const { statusCode = 0 } = response
      resolve(statusCode >= 200 && statusCode < 400)
    })
    asked.on('error', () => resolve(false))
    asked.end()
  })
}
