import { MemoryDisk, MemoryLogStore } from './memory-log-store.ts'
import { MemorySnapshotStore, MemoryStaging, mendInstall } from './memory-snapshot-store.ts'
import { MemoryDatabase, MemoryStateMachine } from './memory-state-machine.ts'
import { snapshotStoreContract, type SnapshotNode } from './snapshot-store-contract.ts'
import { systemClock } from './system-clock.ts'

snapshotStoreContract('the snapshot store in memory', () => {
  const disk = new MemoryDisk()
  const database = new MemoryDatabase()
  const staging = new MemoryStaging()
  const open = () => {
    mendInstall(staging, disk)
    const machine = new MemoryStateMachine(database, systemClock)
    const log = new MemoryLogStore(disk, systemClock)
    return { machine, log, snapshots: new MemorySnapshotStore({ machine, image: () => database.image(), staging }) }
  }
  let node = open()
  const close = async (): Promise<void> => {
    await node.machine.close()
    await node.log.close()
  }
  const reopen = async (): Promise<SnapshotNode> => {
    await close()
    node = open()
    return node
  }
  return Promise.resolve({
    ...node,
    reopen,
    dispose: close,
    command: (n: number) => new TextEncoder().encode(`command ${n}`),
    contents: () => database.image(),
  })
})
