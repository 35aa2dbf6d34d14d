// The part of a node's `/status` that the operator reads, in rqlite's own shape and names. The node's answer has more; unknown keys are ignored here on purpose:
// an operator must be able to read a newer node.
import { z } from 'zod'

/** rqlite's words for the Raft state; `Learner` is ours: a member without a vote, for now or for good (rqlite says `Follower`). */
export const raftStates = ['Leader', 'Follower', 'Candidate', 'Learner', 'Shutdown'] as const

export const nodeStatus = z.object({
  build: z.object({ version: z.string() }),
  store: z.object({
    node_id: z.string(),
    ready: z.boolean(),
    leader: z.object({ node_id: z.string(), addr: z.string() }),
    // `nonvoter`: a read replica, or a learner that has not caught up yet; the Raft state of either is `Learner`.
    nodes: z.array(z.object({ id: z.string(), addr: z.string(), suffrage: z.enum(['voter', 'nonvoter']) })),
    raft: z.object({
      state: z.enum(raftStates),
      term: z.number().int().nonnegative(),
      commit_index: z.number().int().nonnegative(),
      applied_index: z.number().int().nonnegative(),
    }),
  }),
})

export type NodeStatus = z.infer<typeof nodeStatus>

/** Where a node listens in a pod, and where the operator mounts what it needs. The process kubelet replaces addresses and folders by local ones. */
export const podLayout = {
  apiPort: 4001,
  raftPort: 4002,
  dataDir: '/var/lib/securesql',
  /** tls.crt, tls.key: the API's leaf; ca.crt: the client CA bundle. */
  httpTlsDir: '/etc/securesql/http',
  /** tls.crt, tls.key: the node's leaf for the Raft port; ca.crt: the node CA bundle. */
  nodeTlsDir: '/etc/securesql/node',
  /** access.json: the access file, bcrypt hashes only. */
  accessDir: '/etc/securesql/access',
} as const
