import { transportContract, type TransportNode, type TransportUnderTest } from '../replica/transport-contract.ts'
import { membershipOf, startTestNode, type TestNode, type TestNodeChanges } from './test-peers.ts'

async function make(changes: TestNodeChanges): Promise<TransportUnderTest> {
  const nodes = await Promise.all(['a', 'b', 'outsider'].map((id) => startTestNode(undefined, id, changes)))
  const [a, b, outsider] = nodes as [TestNode, TestNode, TestNode]
  const membership = membershipOf([a, b])
  for (const { identity } of nodes) identity.cluster = { clusterId: 'c', members: membership, origin: 'formed' }
  return {
    a: under(a),
    b: under(b),
    outsider: under(outsider),
    membership,
    outsiderMembership: membershipOf(nodes),
    stopB: () => b.close(),
    dispose: async () => void (await Promise.all(nodes.map((node) => node.close()))),
  }
}

function under({ identity, peers }: TestNode): TransportNode {
  return { id: identity.nodeId, transport: peers.transport }
}

transportContract('TLS transport', () => make({}))
transportContract('plain transport (no node certificate)', () => make({ tls: 'plain' }))
