// Options of older rqlite versions that have no meaning here. The help says what replaced them; accepting them silently would promise something else than what happens.
import type { FlagRow } from './flag.ts'

export const goneFlags = {
  'on-disk': {
    kind: 'bool',
    group: 'Database',
    default: '',
    help: 'The database is always on disk, in the data directory: leave the option out.',
  },
  'on-disk-path': {
    kind: 'path',
    group: 'Database',
    default: '',
    help: 'The database lives in the data directory: choose DATA_DIR instead.',
  },
  'on-disk-startup': {
    kind: 'bool',
    group: 'Database',
    default: '',
    help: 'The database stays on disk between starts and is not rebuilt: leave the option out.',
  },
} as const satisfies Record<string, FlagRow>
