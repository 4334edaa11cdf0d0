/** Which transactions the stream gives, whole and in which order: what the change log stands on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { isVisible, parseVisibility, WholeXids } from '../../../../src/repository/visibility.ts'
import { connectClient, describeOnServers, linesOf, readAll, ticketOf } from '../support.ts'
import { capture, streamVersions, type Told } from './support.ts'

const TABLE = 'CREATE TABLE t (a integer PRIMARY KEY, b text)'
const MANY_ROWS = 3000

describeOnServers('Transactions in the stream', streamVersions, (server) => {
  it('come when they commit, also those that began long before (F32)', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    await using followed = await captured.open()
    await using long = await connectClient(captured.url)
    await long.query('BEGIN; INSERT INTO t VALUES (1)')
    await captured.client.query('INSERT INTO t VALUES (2)')
    const before = await followed.untilSeal(captured.changes)
    await long.query('INSERT INTO t VALUES (3); COMMIT')
    const after = await followed.untilSeal(captured.changes)
    expect(before.map(({ lines }) => lines)).toEqual([['insert public.t - 2|\\N']])
    expect(after.map(({ lines }) => lines)).toEqual([['insert public.t - 1|\\N', 'insert public.t - 3|\\N']])
    expect(before[0]!.transaction.endLsn <= after[0]!.transaction.commitLsn).toBe(true)
  })

  it('are whole, or not there: what was rolled back never comes, what was prepared comes at its end', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    await using followed = await captured.open()
    const { client } = captured
    await client.query('BEGIN; INSERT INTO t VALUES (1); ROLLBACK')
    await client.query(`BEGIN; INSERT INTO t VALUES (2); SAVEPOINT s; INSERT INTO t VALUES (3); ROLLBACK TO s;
      INSERT INTO t VALUES (4); SAVEPOINT s; INSERT INTO t VALUES (5); RELEASE s; COMMIT`)
    const gid = `gid_${new URL(captured.url).pathname.slice(1)}`
    await client.query(`BEGIN; INSERT INTO t VALUES (6); PREPARE TRANSACTION '${gid}'`)
    await client.query('INSERT INTO t VALUES (7)')
    await client.query(`COMMIT PREPARED '${gid}'`)
    const told = await followed.untilSeal(captured.changes)
    expect(told.map(rowsOf)).toEqual([['2', '4', '5'], ['7'], ['6']])
  })

  it('carry their number, their time to the microsecond, and what we wrote into them (P21)', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    await using followed = await captured.open()
    const { rows } = await captured.client
      .query(
        `BEGIN; INSERT INTO t VALUES (1); SELECT pg_logical_emit_message(true, 'chartkeep', 'changeset 7');
       SELECT pg_logical_emit_message(true, 'other', 'not ours')`,
      )
      .then((results) => (Array.isArray(results) ? results.at(-1) : results))
    expect(rows).toHaveLength(1)
    const {
      rows: [self],
    } = await captured.client.query('SELECT txid_current() AS xid')
    await captured.client.query('COMMIT')
    const [told] = await followed.untilSeal(captured.changes)
    expect(told?.transaction).toMatchObject({ mark: 'changeset 7', xid: Number(BigInt(self.xid) & 0xffffffffn) })
    const {
      rows: [clock],
    } = await captured.client.query(`SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us`)
    const ageUs = BigInt(clock.us) - told!.transaction.commitTimeUs
    expect(ageUs > 0n && ageUs < 60_000_000n).toBe(true)
  })

  it('of many rows at one position are delivered again in full after a break in the middle (F11, P5)', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    await captured.client.query('INSERT INTO t VALUES (0)')
    await captured.client.query(`INSERT INTO t SELECT i FROM generate_series(1, ${MANY_ROWS}) i`)
    const first = await captured.open()
    first.stream.confirm((await first.nextTransaction()).endLsn)
    await first.nextTransaction()
    await first[Symbol.asyncDispose]()
    await captured.free()
    await using again = await captured.open()
    const told = await again.untilSeal(captured.changes)
    expect(told.map(({ changes }) => changes.length)).toEqual([MANY_ROWS])
  })

  it('together with a read of any moment make every row once: its snapshot decides, not its position (P3)', async () => {
    await using captured = await capture(server(), { sql: [TABLE], publish: 't' })
    await using followed = await captured.open()
    const writing = new AbortController()
    const writers = Array.from({ length: 6 }, (_, writer) => write(captured.url, writer, writing.signal))
    await sleep(150)
    const reads: { visible: string; rows: string[] }[] = []
    for (let round = 0; round < 4; round += 1) {
      await using read = await readAll(captured.url, ['public.t'])
      const lines = (await linesOf(read.ticket, ticketOf(read, 'public.t'))).toString().split('\n').slice(0, -1)
      reads.push({ visible: read.position.visible, rows: lines.map((line) => line.split('\t')[0]!).sort() })
    }
    writing.abort()
    await Promise.all(writers)
    const told = await followed.untilSeal(captured.changes)
    for (const { visible, rows } of reads) {
      const seen = parseVisibility(visible)
      const expected = told
        .filter(({ transaction }) => isVisible(seen, new WholeXids(seen.xmax).of(transaction)))
        .flatMap(rowsOf)
      expect(expected.sort()).toEqual(rows)
    }
    expect(reads.at(-1)!.rows.length).toBeGreaterThan(20)
  })
})

function rowsOf({ lines }: Told): string[] {
  return lines.map((line) => line.split(' ').at(-1)!.split('|')[0]!)
}

/** Inserts with savepoints, rollbacks and pauses, until told to stop. */
async function write(url: string, writer: number, signal: AbortSignal): Promise<void> {
  await using client = await connectClient(url)
  for (let turn = 0; !signal.aborted; turn += 1) {
    const id = (writer + 1) * 1_000_000 + turn * 10
    await client.query(`BEGIN; INSERT INTO t VALUES (${id}); SAVEPOINT s; INSERT INTO t VALUES (${id + 1})`)
    if (turn % 3 === 0) await client.query('ROLLBACK TO s')
    if (turn % 5 === 0) await sleep(5)
    await client.query(turn % 7 === 0 ? 'ROLLBACK' : 'COMMIT')
  }
}
