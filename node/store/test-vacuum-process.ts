// For tests: a process that applies a VACUUM to the database in the given data directory, and may be killed meanwhile. `node test-vacuum-process.ts DATA_DIR`.
import { join } from 'node:path'
import process from 'node:process'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import { command, logOf } from './test-machine.ts'
import { openWriteConnection } from './write-connection.ts'

const [, , dataDir = ''] = process.argv
const machine = new SqliteStateMachine(openWriteConnection(join(dataDir, 'db.sqlite')), {
  elsewhere: 'nowhere',
  onFatal: ({ message }) => {
    throw new Error(message)
  },
})
machine.apply(logOf([command(['VACUUM'])], machine.appliedIndex + 1))
