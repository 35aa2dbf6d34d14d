// For tests: what clients can do to a full-text table, so that it complains whenever SQLite looks at it.
const outdated = [
  'CREATE TABLE texts (x)',
  "CREATE VIRTUAL TABLE ft USING fts4 (content='texts', x)",
  "INSERT INTO texts VALUES ('one'), ('two')",
] as const

export const complaining = {
  'texts were added behind its back': outdated,
  'the table of its texts is gone': [...outdated, "INSERT INTO ft (ft) VALUES ('rebuild')", 'DROP TABLE texts'],
  'the table of its texts, and with it its columns, is gone': [
    'CREATE TABLE texts (x)',
    "CREATE VIRTUAL TABLE ft USING fts4 (content='texts')",
    'DROP TABLE texts',
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>
