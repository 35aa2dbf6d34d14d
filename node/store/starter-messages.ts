// What the node and its starter process (process-starter.ts) say to each other. `id`: of a process that the node has asked for.

export type StarterRequest =
  /** `file`: a program of ours, by its path. */
  | { readonly kind: 'start'; readonly id: number; readonly file: string; readonly arguments: readonly string[] }
  | { readonly kind: 'send'; readonly id: number; readonly message: object }
  | { readonly kind: 'step-back'; readonly id: number }
  | { readonly kind: 'kill'; readonly id: number }

export type StarterReply =
  | { readonly kind: 'said'; readonly id: number; readonly message: unknown }
  /** Nothing more comes from it. */
  | { readonly kind: 'ended'; readonly id: number; readonly signal: NodeJS.Signals | null; readonly reason: string }
