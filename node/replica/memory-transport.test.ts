import type { Membership, NodeId } from '../raft/membership.ts'
import { MemoryNetwork } from './memory-transport.ts'
import { systemClock } from './system-clock.ts'
import { transportContract } from './transport-contract.ts'

transportContract('the transport in memory', () => {
  const network = new MemoryNetwork(systemClock)
  const node = (name: string) => ({ id: name as NodeId, transport: network.join(name as NodeId) })
  return Promise.resolve({
    a: node('a'),
    b: node('b'),
    outsider: node('outsider'),
    membership: members('a', 'b'),
    outsiderMembership: members('a', 'b', 'outsider'),
    stopB: () => Promise.resolve(network.leave('b' as NodeId)),
    dispose: () => Promise.resolve(),
  })
})

function members(...names: readonly string[]): Membership {
  return {
    members: names.map((name) => ({ id: name as NodeId, incarnation: name, raftAddress: name, apiUrl: name, suffrage: 'voter' as const })),
  }
}
