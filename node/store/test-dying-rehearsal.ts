// For tests: a rehearsal process that is ready, and is killed as soon as it is given something to do.
import process from 'node:process'
import type { RehearsalReply } from './rehearsal-messages.ts'

process.on('message', () => process.kill(process.pid, 'SIGKILL'))
process.send?.({ kind: 'ready' } satisfies RehearsalReply)
