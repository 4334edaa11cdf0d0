/**
 * Large transactions (P14): sent in pieces between others, written to a file that nobody can read, and bounded in memory;
 * what a rolled-back subtransaction wrote, or described, is not in them.
 */
import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../../scripts/support/postgres-server.ts'
import { connectClient } from '../support.ts'
import { type Captured, capture, streamVersions } from './support.ts'

const TABLE = 'CREATE TABLE t (a integer PRIMARY KEY, b text)'
const ROWS = 40_000

const versions = [...new Set([13, ...streamVersions])].map((version) => ({ version }))

describe.each(versions)('Large transactions, on PostgreSQL $version', ({ version }) => {
  let server: PostgresServer
  beforeAll(async () => {
    // The least there is, so that the server begins to send before the commit.
    server = await startPostgres({ version, settings: { logical_decoding_work_mem: '64kB' } })
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  it('come in the order of their commits, each whole, while others are under way', async () => {
    await using captured = await capture(server, { sql: [TABLE], publish: 't' })
    await using followed = await captured.open()
    await using one = await connectClient(captured.url)
    await using two = await connectClient(captured.url)
    const insert = (from: number, rows: number) =>
      `INSERT INTO t SELECT i, repeat('x', 300) || i FROM generate_series(${from}, ${from + rows - 1}) i`
    await one.query(`BEGIN; ${insert(0, ROWS)}`)
    await two.query(`BEGIN; ${insert(100_000, 5000)}`)
    await captured.client.query(insert(200_000, 2))
    await one.query('UPDATE t SET b = NULL WHERE a = 7')
    await two.query('COMMIT')
    await one.query('COMMIT')
    const told = await followed.untilSeal(captured.changes)
    expect(told.map(({ changes }) => changes.length)).toEqual([2, 5000, ROWS + 1])
    const [, , large] = told
    expect(large?.transaction.changeCount).toBe(ROWS + 1)
    expect(
      large?.lines.slice(0, ROWS).every((line, i) => line === `insert public.t - ${i}|${'x'.repeat(300)}${i}`),
    ).toBe(true)
    expect(large?.lines.at(-1)).toBe('update public.t - 7|\\N')
    const bytes = large?.changes.reduce((sum, { after }) => sum + (after?.length ?? 0), 0)
    expect(large?.transaction.textBytes).toBe(bytes)
    expect(readdirSync(captured.spillDirectory)).toEqual([])
  })

  it('lack what was rolled back in them, and what was described there holds for nobody (P14)', async () => {
    await using captured = await capture(server, { sql: [TABLE], publish: 't' })
    await using followed = await captured.open()
    const insert = (from: number, more = '') =>
      `INSERT INTO t SELECT i, repeat('x', 200)${more} FROM generate_series(${from}, ${from + 1999}) i`
    const { client } = captured
    await client.query(`BEGIN; ${insert(0)}; SAVEPOINT a; ALTER TABLE t ADD COLUMN c text; ${insert(10_000, `, 'c'`)};
      SAVEPOINT b; ${insert(20_000, `, 'c'`)}; SELECT pg_logical_emit_message(true, 'chartkeep', 'undone')`)
    // What the server knows to be rolled back it does not send; so it must have sent it before.
    await untilSent(captured)
    await client.query(`RELEASE b; ROLLBACK TO a; ${insert(30_000)}; COMMIT`)
    await client.query(`BEGIN; ${insert(40_000)}; ALTER TABLE t ADD COLUMN d text; ${insert(50_000, `, 'd'`)}`)
    await untilSent(captured)
    await client.query('ROLLBACK')
    await captured.client.query(`INSERT INTO t VALUES (60000, 'last')`)
    const told = await followed.untilSeal(captured.changes)
    expect(told.map(({ changes }) => changes.length)).toEqual([4000, 1])
    expect(told[0]?.transaction).toMatchObject({ changeCount: 4000, mark: null })
    expect(told.flatMap(({ changes }) => changes.map(({ table }) => table.columns.length))).not.toContain(3)
    expect(told[0]?.lines.filter((line) => /\|c$/.test(line))).toEqual([])
    expect(told[1]?.lines).toEqual(['insert public.t - 60000|last'])
  })

  it('that alter their table give each row in the form it had', async () => {
    await using captured = await capture(server, { sql: [TABLE], publish: 't' })
    await using followed = await captured.open()
    const rows = `repeat('x', 200) FROM generate_series`
    await captured.client.query(`BEGIN; INSERT INTO t SELECT i, ${rows}(1, 2000) i; ALTER TABLE t ADD COLUMN c text;
      INSERT INTO t (c, a, b) SELECT 'c', i, ${rows}(2001, 4000) i; COMMIT`)
    await captured.client.query(`INSERT INTO t VALUES (5000, 'x', 'y')`)
    const told = await followed.untilSeal(captured.changes)
    const widths = told.map(({ changes }) => changes.map(({ table }) => table.columns.length))
    expect(widths[0]?.slice(0, 2000).every((width) => width === 2)).toBe(true)
    expect(widths[0]?.slice(2000).every((width) => width === 3)).toBe(true)
    expect(told[0]?.lines.at(-1)).toMatch(/\|c$/)
    expect(told[1]?.lines).toEqual(['insert public.t - 5000|x|y'])
  })
})

async function untilSent({ url, slot }: Captured): Promise<void> {
  await using other = await connectClient(url)
  // A commit that waits for the disk brings everything before it there, and only that is sent.
  await other.query('SET synchronous_commit = on; CREATE TABLE IF NOT EXISTS elsewhere (a integer)')
  const { rows } = await other.query('SELECT pg_current_wal_flush_lsn() AS lsn')
  for (;;) {
    const sent = await other.query(
      `SELECT FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid
       WHERE s.slot_name = '${slot}' AND r.sent_lsn >= '${rows[0].lsn}'`,
    )
    if (sent.rows.length > 0) return
    await sleep(20)
  }
}
