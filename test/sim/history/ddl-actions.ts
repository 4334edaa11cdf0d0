/**
 * What an administrator does amid a history: changes of shape, each of which alters rows or what is published with
 * nothing in the stream that says so (P2, P7). Each writes down, in its own transaction, what the rows are afterwards.
 */
import type { Dice } from './dice.ts'
import { rewriteSql, watchSql } from './recorder.ts'

/** Made after the rest of the world, and published with it. */
export const SHAPE_SQL: readonly string[] = [
  'CREATE TABLE shape_a (id integer PRIMARY KEY, v text, w integer)',
  'CREATE TABLE shape_b (id integer PRIMARY KEY, v text, w integer)',
  'CREATE TABLE shelf (id integer, half integer, v text, PRIMARY KEY (id, half)) PARTITION BY LIST (half)',
  'CREATE TABLE shelf_1 PARTITION OF shelf FOR VALUES IN (1)',
  'CREATE TABLE shelf_2 PARTITION OF shelf FOR VALUES IN (2)',
  // Prints a name of the catalogs: what renames that, changes the row.
  'CREATE TABLE named_thing (id integer PRIMARY KEY)',
  'CREATE TABLE named (id integer PRIMARY KEY, thing regclass)',
  `INSERT INTO named VALUES (1, 'named_thing')`,
]

export const SHAPE_TABLES: readonly string[] = [
  'public.shape_a',
  'public.shape_b',
  'public.shelf_1',
  'public.shelf_2',
  'public.named',
]

export function drawDdl(dice: Dice): readonly string[] {
  return dice.chance(0.3) ? dice.pick(CHANGES)(dice) : rows(dice)
}

/** Columns may be there or not; a statement that fails belongs to the history. */
function rows(dice: Dice): readonly string[] {
  const table = dice.pick(['shape_a', 'shape_b'])
  const id = dice.between(1, 12)
  const half = dice.between(1, 2)
  return dice.pick<readonly string[]>([
    [
      `INSERT INTO ${table} (id, v) VALUES (${id}, 'row ${dice.below(100)}') ON CONFLICT (id) DO UPDATE SET v = 'again'`,
    ],
    [`UPDATE ${table} SET w = ${dice.below(50)} WHERE id <= ${id}`],
    [`UPDATE ${table} SET extra = ${dice.below(50)} WHERE id <= ${id}`],
    [`DELETE FROM ${table} WHERE id = ${id}`],
    [`INSERT INTO shelf_${half} VALUES (${id}, ${half}, 'book ${dice.below(100)}') ON CONFLICT DO NOTHING`],
    [`UPDATE shelf SET v = 'read' WHERE id < ${id}`],
    [`UPDATE shelf SET half = ${half} WHERE id = ${id}`],
    [`UPDATE kinds SET flag = NOT flag WHERE id < ${id}`],
    [`UPDATE kinds SET mood = 'drowsy' WHERE id = ${id}`],
    [`UPDATE ${table} SET width = ${dice.below(50)} WHERE id <= ${id}`],
    [`UPDATE fresh_${half} SET v = 'not so fresh' WHERE id <= ${id}`],
    [`INSERT INTO shelf VALUES (${id}, 3, 'third') ON CONFLICT DO NOTHING`],
  ])
}

type Change = (dice: Dice) => readonly string[]

/** Locks first, so that nobody changes a row between the change of shape and what is written down. */
function altered(table: string, ...statements: readonly string[]): readonly string[] {
  return [`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`, ...statements, rewriteSql(table)]
}

/** Of whatever name: constraints keep theirs when tables exchange names. */
function otherKey(table: string, columns: string): string {
  return `DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE ${table} DROP CONSTRAINT %I', conname) FROM pg_constraint
    WHERE conrelid = '${table}'::regclass AND contype = 'p'); END $$; ALTER TABLE ${table} ADD PRIMARY KEY (${columns})`
}

function newTable(name: string, sql: string): readonly string[] {
  return [sql, watchSql(`public.${name}`), `ALTER PUBLICATION chartkeep ADD TABLE ${name}`]
}

const CHANGES: readonly Change[] = [
  () => altered('shape_a', 'ALTER TABLE shape_a RENAME w TO width'),
  () => altered('shape_a', 'ALTER TABLE shape_a RENAME width TO w'),
  (dice) => altered('shape_b', `ALTER TABLE shape_b ALTER v SET DEFAULT 'default ${dice.below(9)}'`),
  () => altered('shape_b', otherKey('shape_b', 'id, v')),
  () => altered('shape_b', otherKey('shape_b', 'id')),
  () => ["ALTER TYPE mood ADD VALUE IF NOT EXISTS 'drowsy' BEFORE 'asleep'"],
  (dice) => {
    const name = `fresh_${dice.between(1, 3)}`
    const rows = `INSERT INTO ${name} SELECT n, 'fresh' FROM generate_series(1, ${dice.between(1, 9)}) n`
    return [...newTable(name, `CREATE TABLE ${name} (id integer PRIMARY KEY, v text)`), rows]
  },
  (dice) => {
    const name = `fresh_${dice.between(1, 3)}`
    return [`TRUNCATE ${name}`, `DROP TABLE ${name}`]
  },
  () => [
    ...newTable('shelf_3', 'CREATE TABLE shelf_3 PARTITION OF shelf FOR VALUES IN (3)'),
    `INSERT INTO shelf VALUES (1, 3, 'a book of the third')`,
  ],
  () => ['TRUNCATE shelf_3', 'DROP TABLE shelf_3'],
  () => altered('named', 'ALTER TABLE shape_b RENAME TO shape_d', 'ALTER TABLE shape_d RENAME TO shape_b'),
  () => altered('named', 'ALTER TABLE named_thing RENAME TO other_thing'),
  () => altered('named', 'ALTER TABLE other_thing RENAME TO named_thing'),
  (dice) => altered('shape_a', `ALTER TABLE shape_a ADD COLUMN extra integer DEFAULT ${dice.below(9)}`),
  (dice) => altered('shape_b', `ALTER TABLE shape_b ADD COLUMN extra integer DEFAULT ${dice.below(9)}`),
  () => altered('shape_a', 'ALTER TABLE shape_a ADD COLUMN other double precision DEFAULT random()'),
  () => altered('shape_a', 'ALTER TABLE shape_a DROP COLUMN extra'),
  () => altered('shape_b', 'ALTER TABLE shape_b DROP COLUMN extra'),
  () => altered('shape_a', 'ALTER TABLE shape_a DROP COLUMN other'),
  (dice) => altered('shape_b', `ALTER TABLE shape_b ALTER w TYPE ${dice.pick(['integer', 'bigint', 'numeric(9,2)'])}`),
  () =>
    altered(
      'shape_a',
      'ALTER TABLE shape_a RENAME v TO x',
      'ALTER TABLE shape_a RENAME w TO v',
      'ALTER TABLE shape_a RENAME x TO w',
    ),
  () => [
    'LOCK TABLE shape_a, shape_b IN ACCESS EXCLUSIVE MODE',
    'ALTER TABLE shape_a RENAME TO shape_c',
    'ALTER TABLE shape_b RENAME TO shape_a',
    'ALTER TABLE shape_c RENAME TO shape_b',
  ],
  () => [
    // A table that is gone holds nothing, and has no trigger to say so.
    'TRUNCATE shape_b',
    'DROP TABLE shape_b',
    'CREATE TABLE shape_b (id integer PRIMARY KEY, v text, w integer)',
    watchSql('public.shape_b'),
    `INSERT INTO shape_b SELECT n, 'new', n FROM generate_series(1, 5) n`,
    'ALTER PUBLICATION chartkeep ADD TABLE shape_b',
  ],
  () => [
    'LOCK TABLE shelf, shelf_1, shelf_2 IN ACCESS EXCLUSIVE MODE',
    'ALTER TABLE shelf DETACH PARTITION shelf_2',
    `INSERT INTO shelf_2 VALUES (100, 2, 'put in while it lay aside') ON CONFLICT DO NOTHING`,
  ],
  () => [
    'LOCK TABLE shelf, shelf_1, shelf_2 IN ACCESS EXCLUSIVE MODE',
    'ALTER TABLE shelf ATTACH PARTITION shelf_2 FOR VALUES IN (2)',
  ],
  () => altered('kinds', "ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet'"),
  () => altered('kinds', "ALTER TYPE mood RENAME VALUE 'quiet' TO 'calm'"),
  () => altered('kinds', 'ALTER TYPE pair ADD ATTRIBUTE third integer'),
  () => altered('kinds', 'ALTER TYPE pair DROP ATTRIBUTE third'),
  () => [
    'ALTER PUBLICATION chartkeep DROP TABLE shape_a',
    ...rowsWhileAway('shape_a'),
    'ALTER PUBLICATION chartkeep ADD TABLE shape_a',
  ],
  () => ["ALTER PUBLICATION chartkeep SET (publish = 'insert')"],
  () => ["ALTER PUBLICATION chartkeep SET (publish = 'insert, update, delete, truncate')"],
  (dice) => [`ALTER TABLE shape_a REPLICA IDENTITY ${dice.pick(['DEFAULT', 'FULL', 'DEFAULT'])}`],
]

function rowsWhileAway(table: string): readonly string[] {
  return [
    `INSERT INTO ${table} (id, v) VALUES (90, 'unseen') ON CONFLICT DO NOTHING`,
    `DELETE FROM ${table} WHERE id < 4`,
  ]
}
