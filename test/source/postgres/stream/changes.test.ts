/** What the stream says of rows: every kind of change, and in the very bytes in which COPY gives the row. */
import { expect, it } from 'vitest'
import { connectClient, describeOnServers, linesOf, oldestAndNewest, readAll, runSql, ticketOf } from '../support.ts'
import { type Captured, capture, streamVersions, type Told } from './support.ts'

describeOnServers('The changes of a table', streamVersions, (server) => {
  it('come as lines, with nothing made up where nothing was sent', async () => {
    await using captured = await capture(server(), {
      sql: ['CREATE TABLE t (a integer PRIMARY KEY, b text, c text)', `INSERT INTO t VALUES (1, 'before', NULL)`],
      publish: 't',
    })
    await using followed = await captured.open()
    await captured.client.query(`INSERT INTO t VALUES (2, E'tab\\there\\\\', 'x'), (3, NULL, '')`)
    await captured.client.query(`UPDATE t SET b = 'new' WHERE a = 1`)
    await captured.client.query('BEGIN; UPDATE t SET a = 9 WHERE a = 2; DELETE FROM t WHERE a = 3; COMMIT')
    const told = await followed.untilSeal(captured.changes)
    expect(told.map(({ lines }) => lines)).toEqual([
      ['insert public.t - 2|tab\\there\\\\|x', 'insert public.t - 3|\\N|'],
      ['update public.t - 1|new|\\N'],
      ['update public.t 2|\\u|\\u 9|tab\\there\\\\|x', 'delete public.t 3|\\u|\\u -'],
    ])
    expect(told.map(({ transaction }) => transaction.changeCount)).toEqual([2, 1, 2])
  })

  it('a large value that an update leaves alone is not made NULL (F13)', async () => {
    await using captured = await capture(server(), {
      sql: [
        'CREATE TABLE t (a integer PRIMARY KEY, b text, c integer); ALTER TABLE t ALTER b SET STORAGE EXTERNAL',
        'CREATE TABLE f (LIKE t INCLUDING ALL); ALTER TABLE f REPLICA IDENTITY FULL',
        `INSERT INTO t VALUES (1, repeat('x', 1000000), 1)`,
        `INSERT INTO f VALUES (1, repeat('y', 100000), 1)`,
      ],
      publish: 't, f',
    })
    await using followed = await captured.open()
    await captured.client.query('UPDATE t SET c = 2; UPDATE f SET c = 2')
    await captured.client.query(`UPDATE t SET b = repeat('z', 1000000)`)
    const [first, second] = await followed.untilSeal(captured.changes)
    const large = 'y'.repeat(100_000)
    expect(first?.lines).toEqual(['update public.t - 1|\\u|2', `update public.f 1|${large}|1 1|\\u|2`])
    expect(second?.lines[0]).toHaveLength('update public.t - 1||2'.length + 1_000_000)
  })

  it('TRUNCATE is among them, for each table it empties (F22)', async () => {
    await using captured = await capture(server(), {
      sql: [
        'CREATE TABLE p (a integer PRIMARY KEY); CREATE TABLE c (a integer PRIMARY KEY REFERENCES p); CREATE TABLE other (a integer PRIMARY KEY)',
        'CREATE TABLE root (a integer PRIMARY KEY) PARTITION BY RANGE (a)',
        'CREATE TABLE leaf1 PARTITION OF root FOR VALUES FROM (0) TO (10); CREATE TABLE leaf2 PARTITION OF root FOR VALUES FROM (10) TO (20)',
      ],
      publish: 'p, c, leaf1, leaf2',
    })
    await using followed = await captured.open()
    await captured.client.query('INSERT INTO p VALUES (1)')
    await captured.client.query('BEGIN; TRUNCATE p, other CASCADE; INSERT INTO p VALUES (1); COMMIT')
    await captured.client.query('TRUNCATE root')
    await captured.client.query('TRUNCATE leaf2')
    const told = (await followed.untilSeal(captured.changes)).slice(1).map(({ lines }) => lines)
    expect(told[0]?.slice(0, 2).sort()).toEqual(['truncate public.c - -', 'truncate public.p - -'])
    expect(told[0]?.slice(2)).toEqual(['insert public.p - 1'])
    expect(told[1]?.toSorted()).toEqual(['truncate public.leaf1 - -', 'truncate public.leaf2 - -'])
    expect(told[2]).toEqual(['truncate public.leaf2 - -'])
  })

  it('of a row that moves between partitions are a delete here and an insert there', async () => {
    await using captured = await capture(server(), {
      sql: [
        'CREATE TABLE root (a integer PRIMARY KEY, b text) PARTITION BY RANGE (a)',
        'CREATE TABLE leaf1 PARTITION OF root FOR VALUES FROM (0) TO (10); CREATE TABLE leaf2 PARTITION OF root FOR VALUES FROM (10) TO (20)',
        `INSERT INTO root VALUES (1, 'x')`,
      ],
      publish: 'leaf1, leaf2',
    })
    await using followed = await captured.open()
    await captured.client.query('UPDATE root SET a = 11')
    const [told] = await followed.untilSeal(captured.changes)
    expect(told?.lines).toEqual(['delete public.leaf1 1|\\u -', 'insert public.leaf2 - 11|x'])
  })

  it('name columns as a read does, and the key in its own order (P1)', async () => {
    await using captured = await capture(server(), {
      sql: [
        `CREATE TABLE "Odd ""name" (gone integer, "select" text, b integer, c integer, g integer GENERATED ALWAYS AS (b + 1) STORED,
           PRIMARY KEY (c, b))`,
        'ALTER TABLE "Odd ""name" DROP COLUMN gone',
        'CREATE TABLE f (a text, b integer, c integer, PRIMARY KEY (c, b)); ALTER TABLE f REPLICA IDENTITY FULL',
      ],
      publish: '"Odd ""name", f',
    })
    await using followed = await captured.open()
    await captured.client.query(`INSERT INTO "Odd ""name" VALUES ('x', 1, 2); INSERT INTO f VALUES ('y', 1, 2)`)
    await captured.client.query(`UPDATE f SET a = 'z'; DELETE FROM "Odd ""name"`)
    const [first, second] = await followed.untilSeal(captured.changes)
    const { tables } = await captured.source.introspect()
    for (const { table } of first!.changes) {
      const info = tables.find(({ name }) => name === table.name)
      expect(table).toMatchObject({ oid: info?.oid, columns: info?.columns.map(({ name }) => name) })
      expect(table.key.map((field) => table.columns[field])).toEqual(info?.primaryKey)
    }
    expect(first?.lines).toEqual(['insert public."Odd ""name" - x|1|2', 'insert public.f - y|1|2'])
    expect(second?.lines).toEqual(['update public.f y|1|2 z|1|2', 'delete public."Odd ""name" \\u|1|2 -'])
    expect(second?.changes[0]?.table).toBe(first?.changes[1]?.table)
  })

  it('follow a change of columns and of the key', async () => {
    await using captured = await capture(server(), {
      sql: ['CREATE TABLE t (a integer PRIMARY KEY, b integer NOT NULL)'],
      publish: 't',
    })
    await using followed = await captured.open()
    await captured.client.query('INSERT INTO t VALUES (1, 2)')
    await captured.client.query(`BEGIN; ALTER TABLE t ADD COLUMN c text; INSERT INTO t VALUES (3, 4, 'x'); COMMIT`)
    await captured.client.query('ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (b, a)')
    await captured.client.query('INSERT INTO t VALUES (5, 6)')
    const told = await followed.untilSeal(captured.changes)
    expect(told.map(({ lines }) => lines)).toEqual([
      ['insert public.t - 1|2'],
      ['insert public.t - 3|4|x'],
      ['insert public.t - 5|6|\\N'],
    ])
    expect(told.map(({ changes }) => changes[0]?.table.columns.length)).toEqual([2, 3, 3])
    expect(told.map(({ changes }) => changes[0]?.table.key)).toEqual([[0], [0], [1, 0]])
  })

  it('of a table that has another name for a while come under its own (P2)', async () => {
    await using captured = await capture(server(), { sql: ['CREATE TABLE t (a integer PRIMARY KEY)'], publish: 't' })
    await using followed = await captured.open(['public.t'])
    await captured.client.query('ALTER TABLE t RENAME TO aside')
    await captured.client.query('INSERT INTO aside VALUES (1)')
    await captured.client.query('ALTER TABLE aside RENAME TO t')
    await captured.client.query('INSERT INTO t VALUES (2)')

    const told = await followed.untilSeal(captured.changes)

    expect(told.flatMap(({ lines }) => lines)).toEqual(['insert public.t - 1', 'insert public.t - 2'])
  })

  it('of tables that are not asked for do not come', async () => {
    await using captured = await capture(server(), {
      sql: ['CREATE TABLE t (a integer PRIMARY KEY); CREATE TABLE u (a integer PRIMARY KEY)'],
      publish: 't, u',
    })
    await using followed = await captured.open(['public.t'])
    await captured.client.query('BEGIN; INSERT INTO u VALUES (1); INSERT INTO t VALUES (1); TRUNCATE u; COMMIT')
    await captured.client.query('INSERT INTO u VALUES (2)')
    const told = await followed.untilSeal(captured.changes)
    expect(told.map(({ lines }) => lines)).toEqual([['insert public.t - 1']])
  })
})

/** Beside those of test/source/postgres/text.test.ts, which covers COPY alone. */
const VALUES: readonly (readonly [type: string, value: string])[] = [
  ['timestamptz', '1844-02-29 23:59:59.999999+00'],
  ['timestamptz', '0044-03-15 12:00:00+00 BC'],
  ['timestamp', 'infinity'],
  ['timetz', '12:34:56.789012+05:45'],
  ['interval', '1 year 2 mons -3 days 04:05:06.789'],
  ['float8', '0.30000000000000004'],
  ['float8', '-0'],
  ['float4', '3.4028235e38'],
  ['numeric', '1.00'],
  ['numeric(38,10)', '1234567890123456789012345678.0123456789'],
  ['bytea', '\\x00ff5c0a'],
  ['money', '1234.50'],
  ['json', '{"a": 1.50,  "a": 2, "b": "\\n"}'],
  ['jsonb', '{"b": 1.50, "a": "x\\ty"}'],
  ['char(5)', 'ab'],
  ['"char"', 'x'],
  ['text', ''],
  ['text', 'tab\there\nline\r\\N back\\slash \\u \u0001\u0007\u0008\u000b\u000c\u001f\u007f'],
  ['text', `long ${'x'.repeat(200)}\t\\${'é'.repeat(100)}\n`],
  ['text', '𠀀é病人'],
  ['text[]', '{"a,b",NULL,"NULL","q\\"uote\\\\"}'],
  ['inet', '::1/64'],
  ['tstzrange', '[2020-01-01 00:00+00,)'],
  ['point', '(0.1,1e300)'],
  ['tsvector', "'it''s':1A b:2"],
  ['xml', '<a  b="1">x</a>'],
  ['public.kind', 'sinus rhythm'],
  ['public.pair', '("a\\\\b",2020-01-01)'],
  ['public.positive', '7'],
  ['bit(3)', '101'],
]

const DISTURBANCES = [
  `DateStyle = 'German, DMY'`,
  `IntervalStyle = 'iso_8601'`,
  `TimeZone = 'Asia/Shanghai'`,
  'extra_float_digits = -15',
  `bytea_output = 'escape'`,
  `search_path = 'public'`,
  'quote_all_identifiers = on',
  `client_encoding = 'EUC_CN'`,
]

describeOnServers('The text of the stream', oldestAndNewest, (server) => {
  it('is that of COPY in every byte, whatever the role and the database are set to (P15)', async () => {
    const columns = VALUES.map(([type], index) => `c${index} ${type}`).join(', ')
    await using captured = await capture(server(), {
      sql: [
        `CREATE TYPE kind AS ENUM ('sinus rhythm'); CREATE TYPE pair AS (t text, d date); CREATE DOMAIN positive AS integer CHECK (value > 0)`,
        `CREATE TABLE t (id integer PRIMARY KEY, ${columns}, n text)`,
      ],
      publish: 't',
    })
    await using setting = await connectClient(captured.url)
    const database = new URL(captured.url).pathname.slice(1)
    for (const change of DISTURBANCES) await setting.query(`ALTER DATABASE ${database} SET ${change}`)
    await using followed = await captured.open()
    await captured.client.query(
      `INSERT INTO t VALUES (1, ${VALUES.map(([type, value]) => `'${value.replaceAll("'", "''")}'::${type}`).join(', ')}, NULL)`,
    )
    expect(await sameAsCopy(captured, await followed.untilSeal(captured.changes), 'public.t')).toBe(true)
  })

  it.each(['EUC_CN', 'SQL_ASCII', 'LATIN1'])('is in the encoding of the database: %s (P15)', async (encoding) => {
    const url = await server().createDatabase(`stream_${encoding.toLowerCase()}`, { encoding })
    const [name, value] = encoding === 'LATIN1' ? ['café', 'ÿ\\x'] : ['病人', '生命体征\\x']
    const client = `SET client_encoding = '${encoding === 'SQL_ASCII' ? 'SQL_ASCII' : 'UTF8'}';`
    const sql = [`${client} CREATE TABLE "${name}" ("${name}" integer PRIMARY KEY, b text)`]
    await using captured = await capture(server(), { sql, publish: `"${name}"`, url })
    await using followed = await captured.open()
    await runSql(url, `${client} INSERT INTO "${name}" VALUES (1, '${value}')`)
    const told = await followed.untilSeal(captured.changes)
    expect(told[0]?.changes[0]?.table).toMatchObject({ name: `public."${name}"`, columns: [name, 'b'] })
    expect(await sameAsCopy(captured, told, `public."${name}"`)).toBe(true)
  })
})

/** Whether the one row that was inserted is the one that COPY reads. */
async function sameAsCopy(captured: Captured, told: readonly Told[], table: string): Promise<boolean> {
  const after = told[0]?.changes[0]?.after
  await using read = await readAll(captured.url, [table])
  const copied = await linesOf(read.ticket, ticketOf(read, table))
  const streamed = Buffer.from(`${Buffer.from(after ?? []).toString('latin1')}\n`, 'latin1')
  if (!copied.equals(streamed)) expect(streamed.toString('latin1')).toBe(copied.toString('latin1'))
  return told.length === 1 && told[0]?.changes.length === 1
}
