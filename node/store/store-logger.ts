// The lines that the store itself writes: what it found at start, and what becomes of snapshots.
import type { Logger } from 'pino'

export type StoreLogger = Pick<Logger, 'info' | 'warn' | 'error'>
