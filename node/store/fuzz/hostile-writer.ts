// Texts that want out: what the gate must refuse, in disguise and in pieces, and texts that are broken somewhere.
import type { Chance } from './chance.ts'

/** Made in the working directory of whoever opens it: it must never be there. */
export const escapedFile = 'escaped.sqlite'

const forbidden = [
  `ATTACH '${escapedFile}' AS x`,
  'DETACH main',
  `VACUUM INTO '${escapedFile}'`,
  'BEGIN',
  'COMMIT',
  'END',
  'ROLLBACK',
  'SAVEPOINT s',
  'RELEASE _securesql_entry',
  'ROLLBACK TO _securesql_entry',
  'PRAGMA foreign_keys = ON',
  'PRAGMA recursive_triggers = 1',
  'PRAGMA writable_schema = ON',
  'PRAGMA query_only = 1',
  'PRAGMA journal_mode = DELETE',
  'PRAGMA synchronous(0)',
  'PRAGMA locking_mode = EXCLUSIVE',
  'PRAGMA case_sensitive_like = 1',
  'PRAGMA reverse_unordered_selects = 1',
  "SELECT load_extension('x')",
  "SELECT fts3_tokenizer('simple')",
  'UPDATE _securesql_state SET applied_index = 0',
  'DELETE FROM "_securesql_state"',
  'DROP TABLE [_securesql_state]',
  'CREATE TEMP TABLE z (a)',
  'CREATE TEMP TRIGGER z AFTER INSERT ON t1 BEGIN SELECT 1; END',
  'CREATE VIRTUAL TABLE z USING dbstat',
  "SELECT * FROM pragma_foreign_keys('main')",
  'SELECT * FROM pragma_journal_mode',
  'INSERT INTO sqlite_stat1 VALUES (1, 2, 3)',
  'UPDATE sqlite_sequence SET seq = 9223372036854775807',
  'UPDATE sqlite_schema SET sql = 1',
] as const

export function writeHostile(chance: Chance, ordinary: () => string): string {
  const text = chance.isLucky(70) ? chance.pick(forbidden) : ordinary()
  const disguise = chance.pick<(text: string) => string>([
    (one) => one,
    (one) => `\u{feff}${one}`,
    (one) => `/* ${ordinary()} */ ${one}`,
    (one) => `-- x\n;;${one}`,
    (one) => `${ordinary()}; ${one}`,
    (one) => `EXPLAIN ${one}`,
    (one) => `EXPLAIN QUERY PLAN ${one}`,
    (one) => `WITH x AS (SELECT 1) ${one}`,
    (one) => `CREATE TRIGGER hostile AFTER INSERT ON t1 BEGIN ${one}; END`,
    (one) => `SELECT '${one}'; ${one}`,
    (one) => one.replaceAll(' ', chance.pick(['/**/', '\t', '\n', '\f'])),
    (one) => one.replace(/[a-z]/gi, (letter) => (chance.isLucky(50) ? letter.toLowerCase() : letter.toUpperCase())),
    (one) => broken(chance, one),
  ])
  return disguise(text)
}

/** Something is missing, doubled, or put in. */
function broken(chance: Chance, text: string): string {
  const at = chance.below(text.length)
  const length = 1 + chance.below(5)
  return chance.pick([
    text.slice(0, at) + text.slice(at + length),
    text.slice(0, at) + text.slice(at, at + length) + text.slice(at),
    text.slice(0, at) +
      chance.pick(["'", '"', '`', '[', ']', '(', ')', ';', '--', '/*', '*/', '\0', '?', '@x', 'x', '0x', '\u{feff}']) +
      text.slice(at),
  ])
}
