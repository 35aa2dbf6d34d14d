// The body of the worker thread: bcrypt costs tens of milliseconds of CPU, and the operator's event loop also renews its lease.
import { parentPort } from 'node:worker_threads'
import { compareSync, hashSync } from 'bcryptjs'
import type { BcryptRequest } from './bcrypt-thread.ts'

parentPort?.on('message', (request: BcryptRequest) => parentPort?.postMessage({ id: request.id, result: answer(request) }, []))

function answer(request: BcryptRequest): string | boolean {
  return request.kind === 'hash' ? hashSync(request.password, request.cost) : compareSync(request.password, request.hash)
}
