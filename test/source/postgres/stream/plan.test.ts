/**
 * What the plan says of each table is what the server does: a table that is called usable takes the application's UPDATE and
 * DELETE when it is published, and a danger is one where they fail (P1, P7, P9, F34, F44).
 */
import { expect, it } from 'vitest'
import { startPostgres } from '../../../../scripts/support/postgres-server.ts'
import { openSource } from '../../../../src/source/open.ts'
import { connectClient, describeOnServers, runSql } from '../support.ts'
import { capture, streamVersions } from './support.ts'

interface Case {
  readonly table: string
  readonly sql: string
  /** Null where it can be followed. */
  readonly reason: string | null
  /** Null for no remedy, absent where it is not looked at. */
  readonly remedy?: string | null
  /** Whether the application's UPDATE fails when it is published. */
  readonly fails?: boolean
  readonly since?: number
}

const CASES: readonly Case[] = [
  { table: 'good', sql: 'CREATE TABLE good (a integer PRIMARY KEY)', reason: null },
  {
    table: 'whole',
    sql: 'CREATE TABLE whole (a integer PRIMARY KEY); ALTER TABLE whole REPLICA IDENTITY FULL',
    reason: null,
  },
  { table: 'keyless', sql: 'CREATE TABLE keyless (a integer)', reason: 'no primary key', remedy: null, fails: true },
  {
    table: 'nearly',
    sql: 'CREATE TABLE nearly (a integer NOT NULL UNIQUE)',
    reason: 'no primary key',
    remedy: 'ALTER TABLE "public"."nearly" ADD PRIMARY KEY USING INDEX "nearly_a_key";',
    fails: true,
  },
  {
    table: 'keyless_full',
    sql: 'CREATE TABLE keyless_full (a integer); ALTER TABLE keyless_full REPLICA IDENTITY FULL',
    reason: 'no primary key',
  },
  {
    table: 'deferred',
    sql: 'CREATE TABLE deferred (a integer CONSTRAINT k PRIMARY KEY DEFERRABLE)',
    reason: 'deferrable primary key',
    remedy:
      'BEGIN; ALTER TABLE "public"."deferred" DROP CONSTRAINT "k"; ALTER TABLE "public"."deferred" ADD CONSTRAINT "k" PRIMARY KEY ("a"); COMMIT;',
    fails: true,
  },
  {
    table: 'nothing',
    sql: 'CREATE TABLE nothing (a integer PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING',
    reason: 'replica identity is nothing',
    remedy: 'ALTER TABLE "public"."nothing" REPLICA IDENTITY DEFAULT;',
    fails: true,
  },
  {
    table: 'by_index',
    sql: 'CREATE TABLE by_index (a integer PRIMARY KEY, b integer NOT NULL UNIQUE); ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_b_key',
    reason: 'replica identity is an index that is not the primary key',
  },
  {
    table: 'lost_index',
    sql: 'CREATE TABLE lost_index (a integer PRIMARY KEY, b integer NOT NULL UNIQUE); ALTER TABLE lost_index REPLICA IDENTITY USING INDEX lost_index_b_key; ALTER TABLE lost_index DROP CONSTRAINT lost_index_b_key',
    reason: 'replica identity is an index that is not the primary key',
    fails: true,
  },
  {
    table: 'by_key',
    sql: 'CREATE TABLE by_key (a integer PRIMARY KEY); ALTER TABLE by_key REPLICA IDENTITY USING INDEX by_key_pkey',
    reason: null,
  },
  { table: 'unlogged', sql: 'CREATE UNLOGGED TABLE unlogged (a integer PRIMARY KEY)', reason: 'unlogged table' },
  {
    table: 'naming',
    sql: 'CREATE DOMAIN place AS regclass; CREATE TYPE holder AS (p place[]); CREATE TABLE naming (a integer PRIMARY KEY, h holder)',
    reason: 'column h of type public.holder: its text changes when something is renamed',
    remedy: null,
  },
  {
    table: 'full_generated',
    sql: 'CREATE TABLE full_generated (a integer PRIMARY KEY, g integer GENERATED ALWAYS AS (a + 1) STORED); ALTER TABLE full_generated REPLICA IDENTITY FULL',
    reason: 'replica identity full beside a generated column',
    fails: true,
    since: 18,
  },
  {
    table: 'key_generated',
    sql: 'CREATE TABLE key_generated (a integer, g integer GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY)',
    reason: 'primary key on a generated column',
    remedy: null,
  },
]

describeOnServers('The plan', streamVersions, (server) => {
  it('says what the server does with each kind of table once it is published (P9, F34, F44)', async () => {
    const cases = CASES.filter(({ since }) => since === undefined || server().version >= since)
    await using captured = await capture(server(), { sql: cases.map(({ sql }) => sql) })
    // A server refuses to publish an unlogged table.
    const published = cases.map(({ table }) => table).filter((table) => table !== 'unlogged')
    await runSql(captured.url, `CREATE PUBLICATION chartkeep FOR TABLE ${published.join(', ')}`)
    const plan = await captured.changes.plan(
      cases.map(({ table }) => `public.${table}`),
      { allowsUnlimitedSlot: true },
    )
    expect(plan.obstacle).toBeNull()
    for (const [index, { table, reason, remedy }] of cases.entries()) {
      const planned = plan.tables[index]
      expect(planned).toMatchObject({
        table: `public.${table}`,
        resolution: reason === null ? 'transaction' : 'snapshot',
        reason,
      })
      if (remedy !== undefined) expect(planned?.remedySql).toBe(remedy)
    }

    const failing: string[] = []
    for (const table of published) {
      await using client = await connectClient(captured.url)
      await client.query(`UPDATE ${table} SET a = a WHERE false`).catch(() => failing.push(`public.${table}`))
    }
    expect(plan.dangers.map(({ table }) => table).sort()).toEqual(failing.sort())
    const expected = cases.filter(({ fails, table }) => fails || (table === 'key_generated' && server().version >= 18))
    expect(failing.sort()).toEqual(expected.map(({ table }) => `public.${table}`).sort())

    for (const { remedySql } of plan.dangers) await runSql(captured.url, remedySql)
    for (const table of published) await runSql(captured.url, `UPDATE ${table} SET a = a WHERE false`)
  })

  it('looks at what the publication lets through (P7)', async () => {
    const sql = [
      'CREATE TABLE t (a integer PRIMARY KEY, b text); CREATE TABLE u (a integer PRIMARY KEY)',
      'CREATE TABLE root (a integer PRIMARY KEY) PARTITION BY RANGE (a); CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10)',
    ]
    await using captured = await capture(server(), { sql })
    const reasons = async () => {
      const { tables, obstacle } = await captured.changes.plan(['public.t', 'public.u', 'public.leaf', 'public.gone'], {
        allowsUnlimitedSlot: true,
      })
      return [obstacle?.reason ?? null, ...tables.map(({ reason }) => reason)]
    }
    const gone = 'no such table'
    const none = 'not in publication "chartkeep"'
    expect(await reasons()).toEqual(['there is no publication "chartkeep"', none, none, none, gone])
    const run = (statement: string) => runSql(captured.url, statement)
    await run('CREATE PUBLICATION chartkeep FOR TABLE t, root')
    const above = 'in publication "chartkeep" by what is above it only: before PostgreSQL 15 rows may not be sent'
    expect(await reasons()).toEqual([null, null, none, server().version < 15 ? above : null, gone])
    await run('ALTER PUBLICATION chartkeep ADD TABLE ONLY leaf')
    expect(await reasons()).toEqual([null, null, none, null, gone])
    await run('ALTER PUBLICATION chartkeep SET (publish_via_partition_root = true)')
    expect(await reasons()).toEqual([null, null, none, 'publication "chartkeep" names partitions by their root', gone])
    await run(
      `ALTER PUBLICATION chartkeep SET (publish_via_partition_root = false, publish = 'insert, update, delete')`,
    )
    const lacks = 'publication "chartkeep" leaves out a kind of change'
    expect(await reasons()).toEqual([null, lacks, none, lacks, gone])
    await run(`ALTER PUBLICATION chartkeep SET (publish = 'insert, update, delete, truncate')`)
    if (server().version < 15) return
    await run('ALTER PUBLICATION chartkeep SET TABLE t (a), u WHERE (a > 5)')
    const [, list, filter] = await reasons()
    expect([list, filter]).toEqual([
      'publication "chartkeep" has a column list for it',
      'publication "chartkeep" has a row filter for it',
    ])
    await run('DROP PUBLICATION chartkeep; CREATE PUBLICATION chartkeep FOR ALL TABLES')
    const { dangers } = await captured.changes.plan([], { allowsUnlimitedSlot: true })
    expect(dangers.map(({ table }) => table)).toEqual(['*'])
  })

  it('names what stands in the way of all capture: rights, and no limit for slots (P12)', async () => {
    await using captured = await capture(server(), { sql: ['CREATE TABLE t (a integer PRIMARY KEY)'], publish: 't' })
    expect((await captured.changes.plan(['public.t'])).obstacle?.reason).toContain('max_slot_wal_keep_size')
    await runSql(captured.url, 'CREATE ROLE weak LOGIN', 'GRANT SELECT ON t TO weak')
    await using weak = await openSource({ url: captured.url.replace('postgres@', 'weak@') })
    expect((await weak.changes?.plan(['public.t']))?.obstacle).toEqual({
      reason: 'role "weak" has no REPLICATION',
      remedySql: 'ALTER ROLE "weak" REPLICATION;',
    })
    const signal = new AbortController().signal
    await expect(weak.changes?.createSlot('weak', { lockTimeoutMs: 1000, signal })).rejects.toMatchObject({
      code: 'missing-rights',
    })
    await runSql(captured.url, 'DROP OWNED BY weak', 'DROP ROLE weak')
  })
})

it('The plan refuses a server that writes no logical WAL, and one whose commits would wait for us', async () => {
  await using server = await startPostgres({ version: 18, settings: { wal_level: 'replica' } })
  await using source = await openSource({ url: server.url() })
  expect((await source.changes?.plan([]))?.obstacle?.reason).toBe('wal_level is replica, not logical')
  const signal = new AbortController().signal
  await expect(source.changes?.createSlot('s', { lockTimeoutMs: 1000, signal })).rejects.toMatchObject({
    code: 'cannot-capture',
  })
  await using waiting = await startPostgres({
    version: 18,
    settings: { synchronous_standby_names: '*', synchronous_commit: 'local' },
  })
  await using other = await openSource({ url: waiting.url() })
  expect((await other.changes?.plan([]))?.obstacle?.reason).toContain('synchronous_standby_names')
})
