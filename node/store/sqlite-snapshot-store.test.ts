import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeCommand } from '../command/command-codec.ts'
import type { NodeId } from '../raft/membership.ts'
import { snapshotStoreContract, type SnapshotNode } from '../replica/snapshot-store-contract.ts'
import { fingerprintDatabase } from './database-fingerprint.ts'
import { openStore, type Store } from './open-store.ts'
import { command } from './test-machine.ts'

snapshotStoreContract('snapshots of SQLite', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'snapshot-store-'))
  const open = async (): Promise<Store> => {
    const opened = await openStore({
      dataDir: directory,
      nodeId: 'n1' as NodeId,
      onFatal: (problem) => assert.fail(problem.message),
      logger: { info: () => {}, warn: () => {}, error: () => {} },
    })
    assert(opened.ok, opened.ok ? '' : opened.problem.message)
    return opened.value
  }
  let store = await open()
  const nodeOf = ({ snapshots, stateMachine, log }: Store): SnapshotNode => ({ snapshots, machine: stateMachine, log })
  return {
    ...nodeOf(store),
    reopen: async () => {
      await store.close()
      store = await open()
      return nodeOf(store)
    },
    dispose: async () => {
      await store.close()
      rmSync(directory, { recursive: true })
    },
    command: (n) => encodeCommand(command(['CREATE TABLE IF NOT EXISTS t (n)', ['INSERT INTO t VALUES (?)', n]])),
    contents: () => fingerprintDatabase(join(directory, 'db.sqlite')),
  }
})
