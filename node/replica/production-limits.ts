// How much a node of a real cluster keeps and sends; tests and the simulator have smaller ones.
/** Of the core. */
export const raftLimits = {
  appendBytesMax: 1024 * 1024,
  // One being written while the next is under way: what comes meanwhile gathers into one message, and one write, instead of many.
  inflightMessagesMax: 2,
  inflightBytesMax: 8 * 1024 * 1024,
  // Two of the largest requests and many small ones; beyond it writers are told to wait.
  uncommittedBytesMax: 128 * 1024 * 1024,
}

/** Trailing entries as rqlite's Raft library keeps them; the log's own limit is ours: trailing entries of the largest kind would fill any disk. */
export const compactionLimits = { trailingEntries: 10_240, logBytesMax: 512 * 1024 * 1024 }
/** Often enough that a difference is seen within minutes under load, rare enough to cost nothing. */
export const stateHashEveryEntries = 4_096
