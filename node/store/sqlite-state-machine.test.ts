import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeCommand } from '../command/command-codec.ts'
import { stateMachineContract } from '../replica/state-machine-contract.ts'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import { openWriteConnection } from './write-connection.ts'

const unexpected = (problem: unknown): never => assert.fail(`fatal: ${JSON.stringify(problem)}`)

stateMachineContract('sqlite state machine', () => {
  const directory = mkdtempSync(join(tmpdir(), 'state-machine-'))
  const path = join(directory, 'db.sqlite')
  writeFileSync(path, '')
  const open = (): SqliteStateMachine => new SqliteStateMachine(openWriteConnection(path, { foreignKeys: false }), { onFatal: unexpected })
  let machine = open()
  return Promise.resolve({
    machine,
    reopen: async () => {
      await machine.close()
      machine = open()
      return machine
    },
    dispose: async () => {
      await machine.close()
      rmSync(directory, { recursive: true })
    },
    command: (n) =>
      encodeCommand({
        kind: 'execute',
        transaction: n % 2 === 0,
        statements: [
          { sql: 'CREATE TABLE IF NOT EXISTS t (n INTEGER)', parameters: { kind: 'positional', values: [] } },
          { sql: 'INSERT INTO t VALUES (?)', parameters: { kind: 'positional', values: [n] } },
        ],
        proposedAtMs: 1,
        seed: 1,
      }),
  })
})
