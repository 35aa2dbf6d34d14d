// The thread that computes bcrypt: 70 ms at cost 10, which on the main thread would hold up heartbeats (a flood of log-ins would cost the leader its office).
import { strict as assert } from 'node:assert'
import { parentPort } from 'node:worker_threads'
import { compareSync } from 'bcryptjs'

export interface PasswordQuestion {
  readonly password: string
  readonly hash: string
}

assert(parentPort !== null, 'runs as a worker thread only')
const port = parentPort
port.on('message', ({ password, hash }: PasswordQuestion) => {
  port.postMessage(compareSync(password, hash))
})
