/**
 * The state at a moment, on real servers: the folded trees have what COPY gave at that moment, with writers that do not
 * stop for a snapshot, and transactions that stand open across snapshots and moments (P3, P17, F13, F21, F22, F32).
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { formatLsn, parseLsn } from '../../../src/repository/lsn.ts'
import type { Manifest } from '../../../src/repository/manifest.ts'
import { changesSince } from '../../../src/repository/state/changes-since.ts'
import { type State, stateAt } from '../../../src/repository/state/state.ts'
import { resolveTarget, type StateTarget } from '../../../src/repository/state/target.ts'
import { fieldNumber } from '../../../src/restore/patient/references.ts'
import type { StoredRow } from '../../../src/restore/patient/stored-row.ts'
import { StoredRows } from '../../../src/restore/patient/stored-rows.ts'
import {
  connectClient,
  describeOnServers,
  linesOf,
  oldestAndNewest,
  readAll,
  runSql,
} from '../../source/postgres/support.ts'
import { type CapturedDatabase, captureDatabase } from '../../support/capture-by-hand.ts'
import { whileCommitHangs } from '../../support/hanging-commit.ts'
import { readTrees, type SnapshotLines } from '../../support/read-back.ts'
import { makeRepository, never, objectKeys, type TestRepository } from '../../support/repository.ts'
import { wardLayout, wardSql } from '../../support/ward.ts'

const PUBLISHED = ['patient', 'icu_stay', 'vital_sign', 'diagnosis', 'note_2025', 'note_2026', 'drug']
/** Without a key: stands as of the snapshot. */
const COARSE = 'public.device_log'
const STATEMENTS = [
  (n: number) => `UPDATE vital_sign SET value = ${n} WHERE id = ${1 + (n % 1500)}`,
  (n: number) => `UPDATE vital_sign SET stay_id = ${101 + (n % 24)} WHERE id = ${1 + ((n * 7) % 1500)}`,
  (n: number) => `INSERT INTO vital_sign VALUES (${100_000 + n}, ${101 + (n % 24)}, now(), 'HR', ${n % 200})`,
  (n: number) => `DELETE FROM vital_sign WHERE id = ${1 + ((n * 13) % 1500)}`,
  (n: number) => `UPDATE note SET body = repeat('${n} ', 3) WHERE note_id = ${1 + (n % 200)}`,
  (n: number) => `UPDATE diagnosis SET line = line + 1000 WHERE line = ${n % 100}`,
  (n: number) => `UPDATE drug SET label = '${n}' WHERE code = 'D${1 + (n % 50)}'`,
]

interface Moment {
  readonly name: string
  readonly lsn: bigint
  readonly time: string
  readonly lines: SnapshotLines
}

describeOnServers('the state at a moment', oldestAndNewest.slice(-1), (server) => {
  let made: TestRepository
  let captured: CapturedDatabase
  let url: string
  const moments: Moment[] = []
  const bases: Manifest[] = []
  let writes = 0

  beforeAll(async () => {
    made = await makeRepository()
    url = await server().createDatabase('moments')
    await runSql(
      url,
      ...wardSql({ vitals: 1500 }),
      `UPDATE note SET body = (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) n) WHERE note_id = 7`,
    )
    captured = await captureDatabase({ made, url, layout: wardLayout, tables: PUBLISHED })
    bases.push(await captured.snapshot())
    await play()
  }, 120_000)

  afterAll(async () => {
    await captured?.[Symbol.asyncDispose]()
    await made?.[Symbol.asyncDispose]()
  })

  /** Long transactions stand open from before a snapshot to behind it, and over moments. */
  async function play(): Promise<void> {
    await using long = await connectClient(url)
    await long.query('BEGIN')
    await long.query(`UPDATE patient SET name = 'changed' WHERE patient_id <= 6`)
    await write(24)
    await remember('a long transaction stands open')
    const during = write(80)
    bases.push(await captured.snapshot())
    await during
    await remember('a snapshot was taken amid writers')
    await long.query(`INSERT INTO vital_sign VALUES (900000, 101, now(), 'RR', 1)`)
    await long.query('COMMIT')
    await remember('the long transaction was committed')
    await runSql(
      url,
      `UPDATE note SET year = 2026 WHERE note_id = 7`,
      `UPDATE note SET stay_id = 105 WHERE note_id = 7`,
    )
    await remember('a row with a large value moved to another partition, and to another stay (F13)')
    await runSql(
      url,
      `BEGIN; UPDATE drug SET code = 'x' WHERE code = 'D1'; UPDATE drug SET code = 'D1' WHERE code = 'D2';
       UPDATE drug SET code = 'D2' WHERE code = 'x'; COMMIT`,
    )
    await remember('two rows exchanged their keys (F21)')
    await runSql(url, `TRUNCATE diagnosis`, `INSERT INTO diagnosis VALUES (101, 1, 'again')`)
    await remember('a table was emptied and written again (F22)')
    await whileCommitHangs(url, `UPDATE patient SET name = 'late' WHERE patient_id = 9`, async () => {
      bases.push(await captured.snapshot())
    })
    await remember('a commit lay before the snapshot in the log, and was not visible to it (P3)')
    await write(20)
    await captured.caughtUp()
  }

  async function write(count: number): Promise<void> {
    const lane = async (statements: number) => {
      await using client = await connectClient(url)
      for (let done = 0; done < statements; done += 1) {
        writes += 1
        const n = writes
        const statement = STATEMENTS[n % STATEMENTS.length]!(n)
        const isGivenUp = n % 11 === 0
        await client.query(`BEGIN; SAVEPOINT a; ${statement}; ${n % 5 === 0 ? 'ROLLBACK TO a;' : ''} SELECT 1`)
        await client.query(isGivenUp ? 'ROLLBACK' : 'COMMIT').catch(() => client.query('ROLLBACK'))
      }
    }
    await Promise.all([lane(count / 2), lane(count / 2)])
  }

  /** Nobody commits meanwhile. */
  async function remember(name: string): Promise<void> {
    const lsn = await captured.caughtUp()
    await using client = await connectClient(url)
    const { rows } = await client.query(
      `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time`,
    )
    moments.push({ name, lsn, time: rows[0].time, lines: await copied() })
    await client.query('SELECT pg_sleep(0.02)')
  }

  async function copied(): Promise<SnapshotLines> {
    await using read = await readAll(url)
    const lines: Record<string, readonly string[]> = {}
    for (const ticket of read.tableTickets) {
      lines[ticket.name] = (await linesOf(read.ticket, ticket)).toString('utf8').split('\n').slice(0, -1).sort()
    }
    return lines
  }

  async function target(at: string): Promise<StateTarget> {
    return await resolveTarget({ repository: made.repository, sourceName: 'icu', at })
  }

  async function state(at: StateTarget): Promise<State> {
    const world = { temporaryDirectory: tmpdir(), random: randomBytes, signal: never() }
    return await stateAt(made.repository, at, world)
  }

  function fine(lines: SnapshotLines): SnapshotLines {
    return Object.fromEntries(Object.entries(lines).filter(([name]) => name !== COARSE))
  }

  test('has the rows that COPY gave then, named by position and by time', async () => {
    expect(moments.length).toBe(7)
    for (const { name, lsn, time, lines } of moments) {
      for (const at of [formatLsn(lsn), time]) {
        await using found = await state(await target(at))
        expect([name, at, fine(await readTrees(found.repository, found.manifest))]).toEqual([name, at, fine(lines)])
      }
    }
  }, 120_000)

  test('is the same from every snapshot before it', async () => {
    const { lsn, lines } = moments.at(-1)!
    const last = await target(formatLsn(lsn))
    expect(last.base.snapshotId).toBe(bases[2]!.snapshotId)
    for (const base of bases) {
      const along = last.along && { ...last.along, fromSegment: base.log!.scanSegment }
      await using found = await state({ ...last, base, along })
      expect([base.snapshotId, fine(await readTrees(found.repository, found.manifest))]).toEqual([
        base.snapshotId,
        fine(lines),
      ])
    }
  })

  test('is the same for the rows of each anchor, of each key and of a whole table, without any tree being folded', async () => {
    for (const { name, lsn, lines } of moments) {
      const last = await target(formatLsn(lsn))
      for (const base of bases) {
        if (last.along === null || parseLsn(base.position.lsn) > lsn) continue
        const along = { ...last.along, fromSegment: base.log!.scanSegment }
        using since = await changesSince(
          { ...last, base, along },
          { temporaryDirectory: tmpdir(), signal: never() },
          () => true,
        )
        const stored = new StoredRows(base, made.repository.chunkReader(), made.repository.keyring.secrets, since)
        for (const table of base.tables.filter((each) => each.name !== COARSE)) {
          const where = [name, base.snapshotId, table.name]
          const wanted = lines[table.name]!
          expect([where, textOf(await Array.fromAsync(stored.all(table)))]).toEqual([where, wanted])
          const key = table.primaryKey.map((column) => fieldNumber(table, column))
          const keys = wanted.map((line) => key.map((field) => Buffer.from(line.split('\t')[field]!)))
          expect([where, textOf(await stored.byKeys(table, keys))]).toEqual([where, wanted])
          const half = keys.filter((_, index) => index % 2 === 0)
          expect([where, (await stored.byKeys(table, half)).length]).toEqual([where, half.length])
          if (table.anchor === null) continue
          const anchor = fieldNumber(table, table.anchor)
          const groups = Map.groupBy(wanted, (line) => line.split('\t')[anchor]!)
          for (const [value, own] of groups) {
            expect([where, value, textOf(await stored.byAnchors(table, [Buffer.from(value)]))]).toEqual([
              where,
              value,
              own,
            ])
          }
          const several = [...groups.keys()].slice(0, 3)
          const ofSeveral = several.flatMap((value) => groups.get(value)!).sort()
          const found = await stored.byAnchors(
            table,
            several.map((value) => Buffer.from(value)),
          )
          expect([where, several, textOf(found)]).toEqual([where, several, ofSeveral])
        }
      }
    }
  }, 120_000)

  test('is told without guessing: which table stands as of the snapshot, and which transaction is the last', async () => {
    const found = await target(moments[3]!.time)

    expect(found.coarse.map(({ table }) => table)).toEqual([COARSE])
    expect(found.base.snapshotId).toBe(bases[1]!.snapshotId)
    expect(found.transaction?.commitTimeUs).toBeGreaterThan(0n)
    expect(found.secondsBefore).toBeGreaterThan(0)
    expect(found.secondsBefore).toBeLessThan(30)
  })

  test('leaves nothing in the repository, and nothing on this machine', async () => {
    const before = await objectKeys(made.directory)
    const found = await state(await target(formatLsn(moments.at(-1)!.lsn)))
    const scratch = fileURLToPath(found.repository.storeSettings.scratchUrl!)

    expect(existsSync(scratch)).toBe(true)
    await found[Symbol.asyncDispose]()

    expect(existsSync(scratch)).toBe(false)
    expect(
      (await objectKeys(made.directory)).filter(
        (key) => !before.includes(key) && !/^segments|^leases|^\+tmp/.test(key),
      ),
    ).toEqual([])
  })
})

function textOf(rows: readonly StoredRow[]): string[] {
  return rows.map(({ line }) => line.toString('utf8')).sort()
}
