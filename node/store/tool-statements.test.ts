// What well-known programs send: object mappers, their migrations and reflection, shells. As one table: each is judged by the gate and carried out here, in order, on one
// database, and must give what it gives on rqlite; or be refused in the way that is written down.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { SqlValue } from '../command/command.ts'
import { judgeText } from '../command/gate.ts'
import { SqliteReader } from './sqlite-reader.ts'
import { TestMachine } from './test-machine.ts'

/** Rows; `done`: carried out; a pattern: an answer that says so; `refused`: nothing of it reaches the log, or a reader. */
type Outcome = readonly (readonly unknown[])[] | 'done' | RegExp | { readonly refused: RegExp }

interface Sent {
  readonly by: string
  readonly to: 'execute' | 'query'
  readonly sql: string
  readonly values?: readonly SqlValue[]
  readonly gives: Outcome
}

const execute = (by: string, sql: string, gives: Outcome = 'done', values: readonly SqlValue[] = []): Sent => ({
  by,
  to: 'execute',
  sql,
  values,
  gives,
})
const query = (by: string, sql: string, gives: Outcome, values: readonly SqlValue[] = []): Sent => ({ by, to: 'query', sql, values, gives })

/** As the schema below has it. */
const columns = [
  [0, 'id', 'INTEGER', 1, null, 1],
  [1, 'name', 'varchar(100)', 1, null, 0],
  [2, 'age', 'integer unsigned', 1, null, 0],
  [3, 'data', 'TEXT', 0, null, 0],
]
const usersText =
  'CREATE TABLE "users" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(100) NOT NULL UNIQUE, "age" integer unsigned NOT NULL CHECK ("age" >= 0), "data" text NULL CHECK ((JSON_VALID("data") OR "data" IS NULL)))'

const schema: readonly Sent[] = [
  execute('Django', usersText),
  execute(
    'Django',
    'CREATE TABLE "posts" ("id" integer NOT NULL PRIMARY KEY, "author_id" bigint NOT NULL REFERENCES "users" ("id") DEFERRABLE INITIALLY DEFERRED, "at" datetime DEFAULT CURRENT_TIMESTAMP)',
  ),
  execute('Django', 'CREATE INDEX "posts_author" ON "posts" ("author_id")'),
]

const connecting: readonly Sent[] = [
  ...(['execute', 'query'] as const).flatMap((to): readonly Sent[] => [
    { by: 'Django, Prisma', to, sql: 'PRAGMA foreign_keys = OFF', gives: to === 'query' ? [] : 'done' },
    {
      by: 'Django, TypeORM',
      to,
      sql: 'PRAGMA foreign_keys = ON',
      gives: /^foreign keys are off: that is a setting of the cluster \(flag -fk\), not of a connection$/,
    },
    { by: 'Django', to, sql: 'PRAGMA legacy_alter_table = OFF', gives: to === 'query' ? [] : 'done' },
    { by: 'Prisma', to, sql: 'PRAGMA defer_foreign_keys=ON', gives: to === 'query' ? [] : 'done' },
    { by: 'many', to, sql: 'PRAGMA busy_timeout = 5000', gives: to === 'query' ? [] : 'done' },
    { by: 'many', to, sql: 'PRAGMA journal_mode = WAL', gives: { refused: /^disallowed pragma$/ } },
    { by: 'SQLAlchemy', to, sql: 'SAVEPOINT sa_savepoint_1', gives: { refused: /^SAVEPOINT is not allowed/ } },
  ]),
  query('SQLAlchemy', 'PRAGMA read_uncommitted', [[0]]),
  query('Django', 'PRAGMA foreign_keys', [[0]]),
  query('SQLAlchemy', "SELECT CAST('test plain returns' AS VARCHAR(60)) AS anon_1", [['test plain returns']]),
  query('Sequelize', 'SELECT 1+1 AS result', [[2]]),
  query('ActiveRecord', "SELECT sqlite_version(*) >= '3.45'", [[1]]),
]

const reflection: readonly Sent[] = [
  query('SQLAlchemy', "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name", [
    ['_securesql_state'],
    ['posts'],
    ['users'],
  ]),
  query(
    'SQLAlchemy',
    'PRAGMA main.table_xinfo("users")',
    columns.map((column) => [...column, 0]),
  ),
  query('SQLAlchemy', 'PRAGMA temp.table_xinfo("nowhere")', []),
  query('SQLAlchemy', 'PRAGMA main.foreign_key_list("posts")', [[0, 0, 'users', 'author_id', 'id', 'NO ACTION', 'NO ACTION', 'NONE']]),
  query('SQLAlchemy', 'PRAGMA temp.foreign_key_list("users")', []),
  query(
    'SQLAlchemy, ActiveRecord',
    "SELECT sql FROM  (SELECT * FROM sqlite_master UNION ALL   SELECT * FROM sqlite_temp_master) WHERE name = ? AND type in ('table', 'view')",
    [[usersText]],
    ['users'],
  ),
  // It is in the list of all tables.
  query('SQLAlchemy', 'PRAGMA main.foreign_key_list("_securesql_state")', []),
  query('SQLAlchemy', 'PRAGMA main.index_list("_securesql_state")', []),
  query(
    'Django',
    "SELECT name, type FROM sqlite_master WHERE type in ('table', 'view') AND NOT name='sqlite_sequence' AND name GLOB 'p*' ORDER BY name",
    [['posts', 'table']],
  ),
  query('Django', 'PRAGMA foreign_key_check', []),
  query('Django', 'PRAGMA index_xinfo("posts_author")', [
    [0, 1, 'author_id', 0, 'BINARY', 1],
    [1, -1, null, 0, 'BINARY', 0],
  ]),
  query('Knex', 'PRAGMA table_info(`users`)', columns),
  query('Sequelize', 'PRAGMA INDEX_LIST(`users`)', [[0, 'sqlite_autoindex_users_1', 1, 'u', 0]]),
  query('Sequelize', 'PRAGMA INDEX_INFO(`posts_author`)', [[0, 1, 'author_id']]),
  query('Peewee', `PRAGMA "main".table_info('users')`, columns),
  query('TypeORM', `SELECT "name" FROM "sqlite_master" WHERE "type" = 'table' AND "name" IN ('users')`, [['users']]),
  query(
    'GORM',
    'SELECT type FROM sqlite_master WHERE type IN ("table","index") AND tbl_name = ? AND sql IS NOT NULL order by type = "table" desc',
    [['table'], ['index']],
    ['posts'],
  ),
  query(
    'Drizzle',
    `SELECT m.name as "tableName", p.name as "columnName", p."notnull" as "notNull", p.dflt_value as "defaultValue", p.pk as pk, p.hidden as hidden, m.type as type FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS p WHERE m.name = 'posts'`,
    [
      ['posts', 'id', 1, null, 1, 0, 'table'],
      ['posts', 'author_id', 1, null, 0, 0, 'table'],
      ['posts', 'at', 0, 'CURRENT_TIMESTAMP', 0, 0, 'table'],
    ],
  ),
  query('Drizzle', `SELECT m.name, f."table", f."from", f."to" FROM sqlite_master m, pragma_foreign_key_list(m.name) as f`, [
    ['posts', 'users', 'author_id', 'id'],
  ]),
  query(
    'Drizzle, Prisma',
    `SELECT m.tbl_name, il.name, ii.name, il.[unique] FROM sqlite_master AS m, pragma_index_list(m.name) AS il, pragma_index_info(il.name) AS ii WHERE m.type = 'table' ORDER BY 1`,
    [
      ['posts', 'posts_author', 'author_id', 0],
      ['users', 'sqlite_autoindex_users_1', 'name', 1],
    ],
  ),
  query(
    'JDBC',
    'SELECT name, "notnull" FROM pragma_table_info(?) WHERE pk = 0',
    [
      ['name', 1],
      ['age', 1],
      ['data', 0],
    ],
    ['users'],
  ),
  query("rqlite's shell, .tables", 'SELECT name FROM sqlite_master WHERE type="table" AND name="users"', [['users']]),
  query("rqlite's shell, .indexes", 'SELECT sql FROM sqlite_master WHERE type="index"', [
    [null],
    ['CREATE INDEX "posts_author" ON "posts" ("author_id")'],
  ]),
]

const data: readonly Sent[] = [
  execute(
    'SQLAlchemy',
    'INSERT INTO users (name, age) VALUES (?, ?), (?, ?) RETURNING id, id AS id__1',
    [
      [1, 1],
      [2, 2],
    ],
    ['ada', 36n, 'bob', 4n],
  ),
  execute('Drizzle', 'insert into `users` (`id`, `name`, `age`) values (null, ?, ?) returning `id`, `name`', [[3, 'cy']], ['cy', 5n]),
  execute('Knex', 'insert into `users` (`age`, `name`) select ? as `age`, ? as `name` union all select ? as `age`, ? as `name`', 'done', [
    6n,
    'di',
    7n,
    'ed',
  ]),
  execute('Sequelize', "INSERT OR IGNORE INTO `users` (`name`,`age`) VALUES ('ada',1)"),
  execute('rqlite', 'INSERT OR REPLACE INTO users(id, name, age) VALUES(5, "fiona", 20)'),
  execute(
    'Prisma',
    'INSERT INTO `main`.`users` (`name`, `age`) VALUES (?,?) ON CONFLICT (`name`) DO UPDATE SET `age` = `excluded`.`age` WHERE (`main`.`users`.`age` < `excluded`.`age`) RETURNING `id`, `age`',
    [[1, 40]],
    ['ada', 40n],
  ),
  execute('GORM', 'INSERT INTO `users` (`name`,`age`) VALUES ("ada",1) ON CONFLICT DO NOTHING'),
  execute('ActiveRecord', 'UPDATE "users" SET "age" = COALESCE("age", 0) + ? WHERE "users"."id" = ?', 'done', [1n, 2n]),
  execute('SQLAlchemy', 'UPDATE users SET age = v.age FROM (VALUES (3, 50)) AS v(id, age) WHERE users.id = v.id', /syntax error/),
  execute(
    'SQLAlchemy',
    'WITH v(id, age) AS (VALUES (3, 50)) UPDATE users SET age = v.age FROM v WHERE users.id = v.id RETURNING users.age',
    [[50]],
  ),
  execute(
    'Django',
    'DELETE FROM "users" WHERE "users"."id" IN (SELECT U0."id" FROM "users" U0 WHERE U0."name" = %s LIMIT 1)'.replace('%s', '?'),
    'done',
    ['di'],
  ),
  execute('Django', 'INSERT INTO "posts" ("author_id", "at") VALUES (?, ?)', 'done', [1n, '2024-02-29 10:00:00']),
  execute('many', "INSERT INTO posts (author_id, at) VALUES (2, datetime('now', '-1 day')), (2, CURRENT_TIMESTAMP)"),
  query('Django', 'SELECT COUNT(*) AS "__count" FROM "users"', [[4]]),
  query(
    'Django',
    'SELECT "users"."name" FROM "users" INNER JOIN "posts" ON ("users"."id" = "posts"."author_id") GROUP BY "users"."name" HAVING COUNT("posts"."id") = 2 LIMIT 21',
    [['bob']],
  ),
  query(
    'SQLAlchemy',
    'SELECT anon_1.name FROM (SELECT users.name AS name FROM users ORDER BY users.id DESC LIMIT ? OFFSET ?) AS anon_1',
    [['cy']],
    [1n, 1n],
  ),
  query('many', "SELECT strftime('%Y', at), date(at, '+1 year'), unixepoch(at) FROM posts WHERE id = 1", [
    ['2024', '2025-03-01', 1709200800],
  ]),
  query(
    'many',
    'SELECT name, rank() OVER (ORDER BY age DESC), sum(age) OVER w FROM users WINDOW w AS (ORDER BY id ROWS UNBOUNDED PRECEDING) ORDER BY id LIMIT 2',
    [
      ['ada', 2, 40],
      ['bob', 4, 45],
    ],
  ),
  query('many', 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT group_concat(i, "-") FROM n', [
    ['1-2-3'],
  ]),
  query(
    'many',
    `SELECT json_extract('{"a":[1,2]}', '$.a[1]'), '{"a":1}' ->> 'a', (SELECT json_group_array(value) FROM json_each('[3,4]'))`,
    [[2, 1, '[3,4]']],
  ),
  query('many', `SELECT json_object('a', 1, 'b', json('[1]')), json_type(jsonb('{}')), json_set('{}', '$.x', 1)`, [
    ['{"a":1,"b":[1]}', 'object', '{"x":1}'],
  ]),
  query(
    'many',
    "SELECT sqrt(4.0), pow(2, 3), iif(1, 2, 3), format('%03d', 7), string_agg(x, '+' ORDER BY x), 1 IS DISTINCT FROM NULL FROM (VALUES (1)) AS t JOIN (SELECT 'q' AS x)",
    [[2, 8, 2, '007', 'q', 1]],
  ),
  query(
    'many',
    'SELECT u.name FROM users u FULL OUTER JOIN posts p ON u.id = p.author_id WHERE p.id IS NULL ORDER BY u.name COLLATE NOCASE NULLS LAST',
    [['cy'], ['fiona']],
  ),
]

const migrations: readonly Sent[] = [
  execute(
    'Drizzle',
    'CREATE TABLE IF NOT EXISTS "__drizzle_migrations" (\n\tid SERIAL PRIMARY KEY,\n\thash text NOT NULL,\n\tcreated_at numeric\n)',
  ),
  execute(
    'Django',
    'CREATE TABLE "new__users" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(100) NOT NULL, "kind" varchar(9) DEFAULT "x" NOT NULL)',
  ),
  execute('Django', 'INSERT INTO "new__users" ("id", "name", "kind") SELECT "id", "name", \'plain\' FROM "users"'),
  execute('Django', 'DROP TABLE "users"'),
  execute('Django', 'ALTER TABLE "new__users" RENAME TO "users"'),
  execute('TypeORM', 'ALTER TABLE "users" ADD COLUMN "state" varchar CHECK ("state" IN ("on", "off"))'),
  execute('ActiveRecord', 'ALTER TABLE "users" RENAME COLUMN "state" TO "status"'),
  execute('Prisma', 'CREATE UNIQUE INDEX "users_on" ON "users"("name") WHERE "status" = "on"'),
  execute(
    'many',
    'CREATE TRIGGER "users_touch" AFTER UPDATE ON "users" WHEN NEW."status" = "off" BEGIN UPDATE "users" SET "kind" = "gone" WHERE "id" = NEW."id"; END',
  ),
  execute('many', "UPDATE users SET status = 'off' WHERE id = 1"),
  query('many', 'SELECT kind FROM users WHERE id < 3', [['gone'], ['plain']]),
  execute('many', 'CREATE VIEW "loud" AS SELECT "name" || "!" AS "loud" FROM "users"'),
  query('many', 'SELECT loud FROM loud LIMIT 1', [['ada!']]),
  execute('many', 'CREATE TABLE "kv" ("k" TEXT PRIMARY KEY, "v" ANY, "n" INT AS (length("k")) STORED) STRICT, WITHOUT ROWID'),
  execute('many', 'CREATE VIRTUAL TABLE "ft" USING fts5("title", "body", tokenize="porter unicode61")'),
  execute('many', 'INSERT INTO ft VALUES("running well", "x")'),
  query('many', "SELECT highlight(ft, 0, '<', '>') FROM ft WHERE ft MATCH 'run' ORDER BY bm25(ft)", [['<running> well']]),
  execute('many', 'CREATE TEMP TABLE scratch (a)', { refused: /^temporary tables/ }),
  execute('many', 'ANALYZE'),
  execute('Django', "DELETE FROM sqlite_sequence WHERE name = 'users'"),
]

let world: TestMachine
let reader: SqliteReader
before(() => {
  world = new TestMachine()
  reader = new SqliteReader(world.path, { onFatal: (problem) => assert.fail(problem.message) })
})
after(async () => {
  reader.close()
  await world.dispose()
})

function plain(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value
}

async function resultOf({ to, sql, values = [] }: Sent): Promise<unknown> {
  if (to === 'execute') {
    const judged = judgeText(sql, { for: 'execute' })
    return judged.ok ? (await world.run([[sql, ...values]]))[0] : { refused: judged.problem.message }
  }
  const read = await reader.query([{ sql, parameters: { kind: 'positional', values } }], { transaction: false, appliedIndexMin: 0 })
  return read.ok ? read.value.results[0] : { refused: read.problem.message }
}

async function seen(sent: Sent): Promise<unknown> {
  const result = (await resultOf(sent)) as {
    readonly refused?: string
    readonly kind?: string
    readonly message?: string
    readonly rows?: readonly (readonly unknown[])[]
  }
  if (result.refused !== undefined) return { refused: result.refused }
  if (result.kind === 'error') return result.message
  return result.kind === 'written' ? 'done' : result.rows?.map((row) => row.map(plain))
}

for (const [title, table] of Object.entries({ schema, connecting, reflection, data, migrations })) {
  describe(title, () => {
    for (const sent of table) {
      test(`${sent.by}, ${sent.to}: ${sent.sql}`, async () => {
        const { gives } = sent
        const found = await seen(sent)
        if (gives instanceof RegExp) assert.match(String(found), gives)
        else if (typeof gives === 'object' && 'refused' in gives)
          assert.match((found as { readonly refused: string }).refused, gives.refused)
        else assert.deepEqual(found, gives)
      })
    }
  })
}
