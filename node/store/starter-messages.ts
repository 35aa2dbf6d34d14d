// What the node and its starter process (process-starter.ts) say to each other. `id`: of a process that the node has asked for, each larger than the one before.
//
// To kill has a way of its own: a line with the id on the starter's standard input. Behind a large message it would wait until that is read, and for ever where the node's thread
// waits until nobody has the database open any more (write-connection.ts): meanwhile nothing of such a message is sent.

/** In the environment of each process: the starter's id, which self-watch.ts compares with its parent's. */
export const starterVariable = 'SECURESQL_STARTER'

export type StarterRequest =
  /** `file`: a program of ours, by its path. */
  | { readonly kind: 'start'; readonly id: number; readonly file: string; readonly arguments: readonly string[] }
  | { readonly kind: 'send'; readonly id: number; readonly message: object }
  | { readonly kind: 'step-back'; readonly id: number }

export type StarterReply =
  | { readonly kind: 'said'; readonly id: number; readonly message: unknown }
  /** Nothing more comes from it. */
  | { readonly kind: 'ended'; readonly id: number; readonly signal: NodeJS.Signals | null; readonly reason: string }
  /** The system has refused to make it. */
  | { readonly kind: 'unstarted'; readonly id: number; readonly reason: string }
